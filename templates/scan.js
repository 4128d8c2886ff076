(() => {
  "use strict";
  const doc = document, root = doc.documentElement, words = doc.body.dataset;
  const byId = (id) => doc.getElementById(id), each = (selector, use) => doc.querySelectorAll(selector).forEach(use);

  // Light and dark.
  const theme = byId("theme");
  theme.hidden = false;
  theme.onclick = () => {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    root.dataset.theme = (root.dataset.theme || system) === "dark" ? "light" : "dark";
    try { localStorage.setItem("loganalyze-theme", root.dataset.theme); } catch (e) {}
  };

  // Sorting: by the number that a cell carries, else by its text; what has none comes last.
  const body = doc.querySelector("#runs tbody"), rows = [...body.rows];
  const value = (row, at) => {
    const cell = row.cells[at];
    if (cell.dataset.v === undefined) return cell.textContent.trim().toLowerCase();
    return cell.dataset.v === "" ? null : Number(cell.dataset.v);
  };
  const sort = (at, down) => {
    const keyed = rows.map((row, index) => [value(row, at), index, row]);
    keyed.sort((a, b) => {
      if (a[0] === null || b[0] === null) return (a[0] === null) - (b[0] === null) || a[1] - b[1];
      const order = typeof a[0] === "number" ? a[0] - b[0] : a[0].localeCompare(b[0]);
      return (down ? -order : order) || a[1] - b[1];
    });
    body.append(...keyed.map((item) => item[2]));
  };
  each("#runs thead th[data-sort]", (head) => {
    const button = doc.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.onclick = () => {
      const down = head.ariaSort === "ascending" || (head.ariaSort === null && head.dataset.sort === "down");
      each("#runs thead th", (other) => { other.removeAttribute("aria-sort"); });
      head.ariaSort = down ? "descending" : "ascending";
      sort(head.cellIndex, down);
    };
  });

  // Filters.
  const form = byId("filters"), count = byId("shown");
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const filter = () => {
    const said = byId("find").value.trim().toLowerCase(), level = byId("level").value, found = byId("found").value;
    let shown = 0;
    rows.forEach((row, index) => {
      const fits = (!level || row.dataset.level === level) && (!found || row.dataset.found.split(" ").includes(found)) && texts[index].includes(said);
      row.hidden = !fits;
      shown += fits;
    });
    count.textContent = shown.toLocaleString("en") + " / " + rows.length.toLocaleString("en");
  };
  form.hidden = false;
  form.oninput = filter;
  form.onsubmit = (e) => { e.preventDefault(); };
  each("[data-show]", (link) => {
    link.onclick = () => {
      byId("found").value = link.dataset.show;
      byId("level").value = "";
      byId("find").value = "";
      filter();
    };
  });
  filter();

  // Copying: one button for the command that is open.
  doc.addEventListener("toggle", (e) => {
    const part = e.target;
    if (!part.open || part.dataset.done) return;
    part.dataset.done = "1";
    part.querySelectorAll("[data-copy]").forEach((code) => {
      const button = doc.createElement("button"), mark = () => getSelection().selectAllChildren(code);
      button.type = "button";
      button.className = "copy-button";
      button.textContent = words.wordCopy;
      button.ariaLabel = words.wordCopy + " " + code.textContent.slice(0, 80);
      button.onclick = () => {
        if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(() => { button.textContent = words.wordCopied; }, mark);
        else mark();
      };
      code.after(button);
    });
  }, true);

  // A link to a run that is filtered out shows it.
  const open = () => {
    const row = byId(location.hash.slice(1));
    if (row) row.hidden = false;
  };
  onhashchange = open;
  onbeforeprint = () => each("details", (part) => { part.open = true; });
})();
