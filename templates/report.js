(() => {
  "use strict";
  const doc = document, root = doc.documentElement, words = doc.body.dataset;
  const all = (selector, use) => doc.querySelectorAll(selector).forEach(use);
  const byId = (id) => doc.getElementById(id);

  // Light and dark.
  const theme = byId("theme");
  theme.hidden = false;
  theme.onclick = () => {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    root.dataset.theme = (root.dataset.theme || system) === "dark" ? "light" : "dark";
    try { localStorage.setItem("loganalyze-theme", root.dataset.theme); } catch (e) {}
  };

  // Copy, or select where the browser does not let us.
  all("[data-copy]", (code) => {
    const button = doc.createElement("button"), text = code.dataset.copy;
    const mark = () => getSelection().selectAllChildren(code);
    button.type = "button";
    button.className = "copy-button";
    button.textContent = words.wordCopy;
    button.ariaLabel = words.wordCopy + " " + text.slice(0, 80);
    button.onclick = () => {
      if (navigator.clipboard) navigator.clipboard.writeText(text).then(() => { button.textContent = words.wordCopied; }, mark);
      else mark();
    };
    code.after(button);
  });

  // Findings by severity.
  all("#filter", (box) => {
    box.hidden = false;
    box.onchange = (e) => all(".finding." + e.target.value, (card) => { card.hidden = !e.target.checked; });
  });

  // Crosshair: one step, in all figures.
  const store = JSON.parse(byId("loganalyze-points").textContent), plots = [];
  const nearest = (steps, step) => {
    let low = 0, high = steps.length - 1, middle;
    while (high - low > 1) {
      middle = (low + high) >> 1;
      if (steps[middle] < step) low = middle;
      else high = middle;
    }
    return step - steps[low] <= steps[high] - step ? low : high;
  };
  const show = (step, from) => plots.forEach((plot) => {
    const [left, right, , first, last] = plot.axis, inside = step >= first && step <= last;
    const x = left + (step - first) / (last - first) * (right - left);
    plot.out.ariaLive = plot === from ? "polite" : "off";
    plot.hair.setAttribute("d", inside ? "M" + x + " 0V999" : "");
    plot.out.textContent = inside ? plot.curves.map(([name, steps, values]) => {
      const i = nearest(steps, step);
      return name + " " + values[i] + " " + words.wordAt + " " + steps[i].toLocaleString("en");
    }).join("   ") : "";
  });
  all("figure[data-axis]", (figure) => {
    const box = figure.querySelector(".plot"), svg = box.firstElementChild;
    const plot = {
      axis: figure.dataset.axis.split(" ").map(Number),
      curves: figure.dataset.curves.split(" ").map((i) => store[i]),
      out: figure.querySelector("output"),
      hair: svg.appendChild(doc.createElementNS(svg.namespaceURI, "path"))
    };
    const [left, right, width, first, last] = plot.axis, steps = plot.curves[0][1];
    let at = 0;
    const go = (index) => {
      at = Math.min(Math.max(index, 0), steps.length - 1);
      show(steps[at], plot);
    };
    plots.push(plot);
    plot.hair.setAttribute("class", "hair");
    box.onpointermove = box.onpointerdown = (e) => {
      const edge = svg.getBoundingClientRect(), x = (e.clientX - edge.left) / edge.width * width;
      go(nearest(steps, first + (x - left) / (right - left) * (last - first)));
    };
    box.onkeydown = (e) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
      if (!by) return;
      e.preventDefault();
      go(at + by);
    };
  });

  // What a link leads to, and all that is printed, is open.
  const open = () => {
    for (let node = byId(location.hash.slice(1)); node; node = node.parentElement) node.open = true;
  };
  onhashchange = open;
  onbeforeprint = () => all("details", (part) => { part.open = true; });
  open();
})();
