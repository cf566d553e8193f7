"use strict";
// What the lines of a chart say where the pointer is. Without it the page is whole all the same.
const told = document.createElement("div");
told.id = "told";
told.hidden = true;
told.setAttribute("aria-hidden", "true");
document.body.append(told);

const EPOCH = 719163; // 1 January 1970 in days since the year 1
const three = (value) => Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 12 });

function seconds(value) {
  const units = [[86400, "days"], [3600, "h"], [60, "min"], [1, "s"], [1e-3, "ms"], [1e-6, "µs"]];
  const [size, name] = units.find(([each]) => value >= (each > 1 ? 2 : 1) * each) || units[5];
  return `${three(value / size)} ${name}`;
}

function words(axis, value) {
  if (axis.unit === "%") return `${three(100 * value)} %`;
  if (axis.unit === "date") return new Date((value - EPOCH) * 86400e3).toISOString().slice(0, 10);
  if (axis.log && axis.unit === "s") return seconds(value);
  return axis.unit === "1" ? three(value) : `${three(value / axis.scale)} ${axis.unit}`;
}

function valueAt(axis, place) {
  const part = (place - axis.start) / (axis.end - axis.start);
  if (axis.log) return axis.low * Math.pow(axis.high / axis.low, part);
  return axis.low + part * (axis.high - axis.low);
}

function pointsOf(path) {
  const each = path.getAttribute("d").slice(1).split("L");
  return each.map((pair) => pair.split(",").map(Number));
}

function nearest(points, x) {
  return points.reduce((best, each) => (Math.abs(each[0] - x) < Math.abs(best[0] - x) ? each : best));
}

// What each layer of stacked areas is in the period that the pointer is in, the topmost first.
function layers(svg, x) {
  if (!svg.dataset.edges) return [];
  const edges = JSON.parse(svg.dataset.edges);
  const period = Math.max(edges.findLastIndex((edge, i) => edge <= x && i < edges.length - 1), 0);
  const rows = [...svg.querySelectorAll("path.area")].map((path) => [path.dataset.name, JSON.parse(path.dataset.values)[period]]);
  return rows.reverse().filter((row) => row[1]).map(([name, value]) => [name, three(value)]);
}

function tell(svg, event) {
  const axes = JSON.parse(svg.dataset.axes);
  const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const x = Math.min(Math.max(spot.x, axes.x.start), axes.x.end);
  const seen = [...svg.querySelectorAll("path.line")].filter((path) => path.getClientRects().length);
  const rows = seen.map((path) => [path.dataset.name, words(axes.y, valueAt(axes.y, nearest(pointsOf(path), x)[1]))]);
  rows.push(...layers(svg, valueAt(axes.x, x)));
  told.replaceChildren(...[["", words(axes.x, valueAt(axes.x, x))], ...rows].map(([name, value]) => {
    const row = document.createElement("span");
    const bold = document.createElement("b");
    bold.textContent = value;
    row.append(name ? `${name} ` : "", bold);
    return row;
  }));
  told.hidden = false;
  const wide = told.offsetWidth, high = told.offsetHeight;
  told.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - wide - 4))}px`;
  told.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - high - 4))}px`;
  cross(svg, x, axes.y);
}

function cross(svg, x, y) {
  const known = svg.querySelector(".cross");
  const line = known || document.createElementNS("http://www.w3.org/2000/svg", "line");
  for (const [name, value] of Object.entries({ class: "cross", x1: x, x2: x, y1: y.start, y2: y.end })) {
    line.setAttribute(name, value);
  }
  if (!known) svg.append(line);
}

function quiet(svg) {
  told.hidden = true;
  svg.querySelector(".cross")?.remove();
}

for (const svg of document.querySelectorAll("svg[data-axes]")) {
  svg.addEventListener("pointermove", (event) => tell(svg, event));
  svg.addEventListener("pointerdown", (event) => tell(svg, event));
  svg.addEventListener("pointerleave", () => quiet(svg));
}
