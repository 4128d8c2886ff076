// Draws the chosen curves with Bokeh; a change of the choice draws them anew.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const { curves, bands } = JSON.parse(byId("loganalyze-explorer").textContent);
  const box = byId("explorer-plot"), list = byId("explorer-curves");
  const words = byId("explorer").dataset, tips = words.tips.split("|");
  const scale = byId("explorer-scale"), smooth = byId("explorer-smooth");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const dashes = ["solid", [6, 3], [2, 2], [8, 3, 2, 3]];
  let last = null, view = null, round = 0;
  if (Bokeh.logger) Bokeh.logger.set_level("off");

  // Bias-corrected moving average; numbers that are none break the line and do not count.
  const averaged = (values, beta) => {
    let mean = 0, weight = 0;
    return values.map((value) => {
      if (!Number.isFinite(value) || beta === 0) return value;
      mean = beta * mean + (1 - beta) * value;
      weight = beta * weight + (1 - beta);
      return mean / weight;
    });
  };

  const style = (figure) => {
    const muted = colour("muted"), grid = colour("grid"), card = colour("card");
    figure.background_fill_color = figure.border_fill_color = card;
    figure.outline_line_color = null;
    figure.toolbar.logo = null;
    for (const axis of [...figure.xaxes, ...figure.yaxes]) {
      Object.assign(axis, {
        axis_line_color: grid, major_tick_line_color: grid, minor_tick_line_color: null,
        major_label_text_color: muted, axis_label_text_color: muted, axis_label_text_font_style: "normal"
      });
    }
    for (const lines of [...figure.xgrids, ...figure.ygrids]) lines.grid_line_color = grid;
  };

  const draw = async () => {
    const mine = ++round, beta = Number(smooth.value), logarithmic = scale.value === "log";
    const figure = Bokeh.Plotting.figure({
      height: 380, sizing_mode: "stretch_width", tools: "pan,box_zoom,wheel_zoom,reset,save", active_drag: "box_zoom",
      y_axis_type: scale.value, x_axis_label: tips[1]
    });
    style(figure);
    const severity = { critical: "crit", warning: "warn", info: "info" };
    for (const band of bands) {
      figure.add_layout(new Bokeh.BoxAnnotation({
        left: band.first, right: Math.max(band.last, band.first + 0.5), fill_color: colour(severity[band.severity]),
        fill_alpha: 0.1, line_color: null, level: "underlay"
      }));
    }
    const renderers = [];
    let drawn = 0;
    list.querySelectorAll("input").forEach((input) => {
      const swatch = input.parentElement.querySelector(".swatch");
      swatch.style.background = "";
      if (!input.checked) return;
      const curve = curves[input.value], line = colour("line-" + (drawn % 4 + 1));
      const logged = curve.values.map(Number), usable = (v) => Number.isFinite(v) && (!logarithmic || v > 0) ? v : NaN;
      const source = new Bokeh.ColumnDataSource({ data: {
        step: curve.steps, value: averaged(logged, beta).map(usable), logged: curve.values.map(String),
        name: curve.steps.map(() => curve.name)
      } });
      if (beta > 0) {
        const raw = new Bokeh.ColumnDataSource({ data: { step: curve.steps, value: logged.map(usable) } });
        figure.line({ field: "step" }, { field: "value" }, { source: raw, line_color: line, line_alpha: 0.3 });
      }
      renderers.push(figure.line({ field: "step" }, { field: "value" }, {
        source, line_color: line, line_width: 1.8, line_dash: dashes[Math.floor(drawn / 4) % dashes.length]
      }));
      if (curve.steps.length < 60) figure.scatter({ field: "step" }, { field: "value" }, { source, line_color: line, fill_color: line, size: 5 });
      swatch.style.background = line;
      drawn += 1;
    });
    figure.add_tools(new Bokeh.HoverTool({
      renderers, mode: "vline", tooltips: ["@name", "@step{0,0}", "@logged"].map((value, i) => [tips[i], value])
    }));
    const next = document.createElement("div"), drawing = Bokeh.Plotting.show(figure, next);
    box.append(next);
    const made = await drawing;
    if (mine !== round) { made.remove(); next.remove(); return; }
    // A part that the reader zoomed to stays.
    if (last && (last.x_range.start > last.first || last.x_range.end < last.end)) {
      Object.assign(figure.x_range, { start: last.x_range.start, end: last.x_range.end });
    }
    if (view) view.remove();
    box.replaceChildren(next);
    view = made;
    last = { x_range: figure.x_range, first: last ? last.first : figure.x_range.start, end: last ? last.end : figure.x_range.end };
    byId("explorer-beta").textContent = beta ? "beta " + beta : words.none;
    box.dataset.drawn = drawn;
  };

  byId("explorer-find").oninput = (event) => {
    const wanted = event.target.value.toLowerCase();
    list.querySelectorAll("label").forEach((label) => { label.hidden = !label.textContent.toLowerCase().includes(wanted); });
  };
  list.onchange = scale.onchange = smooth.onchange = draw;
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
