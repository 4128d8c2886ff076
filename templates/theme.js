// Before the first paint, so that a page never flashes in the other colours.
try {
  var kept = localStorage.getItem("loganalyze-theme");
  if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
} catch (e) {}
