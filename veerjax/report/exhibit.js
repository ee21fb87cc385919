"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const shown = (value, digits = 2) => (value === null || value === undefined ? "-" : value.toFixed(digits));

// A toggle: what it is called, and its choices in words.
const TOGGLES = {
  categories: ["Categories", { two: "two", one: "one" }],
  grid: ["Mask grid", { narrow: "28 × 28", tall: "112 × 28" }],
  head: ["Pixels", { argmax: "argmax", sigmoid: "sigmoid" }],
  ink: ["Ink", { different: "different", same: "the same" }],
};
const state = { step: 0, categories: "two", grid: "narrow", head: "argmax", ink: "different" };

const boxesArm = (choice) => (choice.categories === "one" ? "A2" : choice.grid === "tall" ? "A3" : "A1");
const pixelsArm = (choice) => (choice.head === "sigmoid" ? "B7" : "B4");

// Networks of one category were trained with masks of 28 × 28 alone.
function possible(name, value) {
  const choice = { ...state, [name]: value };
  if (name === "ink") return value in data.images;
  if (name === "grid" && value === "tall" && state.categories === "one") return false;
  if (name === "categories" && value === "one") choice.grid = "narrow";
  return (name === "head" ? pixelsArm(choice) : boxesArm(choice)) in data.arms;
}

function makeToggles() {
  for (const [name, [title, choices]] of Object.entries(TOGGLES)) {
    const set = document.createElement("fieldset");
    const legend = set.appendChild(document.createElement("legend"));
    legend.textContent = title;
    const row = set.appendChild(document.createElement("div"));
    row.className = "choices";
    for (const [value, words] of Object.entries(choices)) {
      const label = row.appendChild(document.createElement("label"));
      const input = label.appendChild(document.createElement("input"));
      Object.assign(input, { type: "radio", name, value, id: `${name}-${value}`, checked: state[name] === value });
      label.appendChild(document.createElement("span")).textContent = words;
      input.addEventListener("change", () => {
        state[name] = value;
        if (state.categories === "one") state.grid = "narrow";
        draw();
      });
    }
    at("toggles").append(set);
  }
}

function svg(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function picture(id, image, step, words) {
  const whole = { width: data.width, height: data.height };
  const parts = [svg("image", { ...whole, href: `data:image/png;base64,${image}` })];
  parts.push(svg("image", { ...whole, href: `data:image/png;base64,${step.labels}` }));
  const order = { dropped: 0, kept: 1, chosen: 2 };
  for (const box of [...step.boxes].sort((a, b) => order[a.state] - order[b.state])) {
    const [y0, x0, y1, x1] = box.box;
    const kind = `box ${box.state}${box.curve ? ` curve-${box.curve}` : ""}`;
    const rect = svg("rect", { class: kind, x: x0, y: y0, width: x1 - x0, height: y1 - y0 });
    rect.appendChild(svg("title", {})).textContent = `${box.state}, score ${shown(box.score)}`;
    parts.push(rect);
  }
  at(id).setAttribute("viewBox", `-2 -2 ${data.width + 4} ${data.height + 4}`);
  at(id).setAttribute("aria-label", words);
  at(id).replaceChildren(...parts);
}

const ROWS = [
  ["IoU background", (of) => [of.iou.value[0], of.iou.interval95[0]], 0],
  ["IoU curve 1", (of) => [of.iou.value[1], of.iou.interval95[1]], 1],
  ["IoU curve 2", (of) => [of.iou.value[2], of.iou.interval95[2]], 2],
  ["F1 within 2 px", (of) => [of.tolerance_f1_2px.value, of.tolerance_f1_2px.interval95], null],
  ["identity accuracy", (of) => [of.identity_accuracy.value, of.identity_accuracy.interval95], null],
];

function mark(track, kind, left, right) {
  const made = track.appendChild(document.createElement("i"));
  made.className = kind;
  made.style.left = `${100 * left}%`;
  if (right !== undefined) made.style.width = `${100 * (right - left)}%`;
  return made;
}

function bars(id, of) {
  const rows = ROWS.map(([title, read, survey]) => {
    const [value, ends] = read(of);
    const row = document.createElement("div");
    row.className = "bar";
    row.appendChild(document.createElement("span")).textContent = title;
    const track = row.appendChild(document.createElement("div"));
    track.className = "track";
    if (value !== null) mark(track, "value", 0, value);
    const whole = ends[0] !== null && ends[1] !== null;
    if (whole) mark(track, "whisker", ends[0], ends[1]);
    for (const [kind, name] of [["blank", "all_background"], ["random", "random_identity"]]) {
      const other = data.baselines[name] && read(data.baselines[name][state.ink][state.step])[0];
      if (other !== null && other !== undefined) mark(track, kind, other).title = `${name.replace("_", " ")} ${shown(other)}`;
    }
    if (survey !== null) mark(track, "survey", data.survey[survey]).title = `the survey's ${shown(data.survey[survey])}`;
    const output = row.appendChild(document.createElement("output"));
    output.textContent = shown(value);
    output.title = whole ? `95 % interval ${shown(ends[0])} to ${shown(ends[1])}` : "no interval";
    return row;
  });
  at(id).replaceChildren(...rows);
}

function draw() {
  for (const name of Object.keys(TOGGLES)) {
    for (const input of document.getElementsByName(name)) {
      input.disabled = !possible(name, input.value);
      input.checked = state[name] === input.value;
    }
  }
  const apart = data.separations[state.step];
  const slider = at("separation");
  slider.value = state.step;
  at("apart").textContent = String(apart);
  slider.setAttribute("aria-valuetext", `shifted by ${apart} of a box's width`);
  const image = data.images[state.ink][state.step];
  const where = `Two copies of one curve, ${apart} of a box's width apart, in ${state.ink === "same" ? "the same" : "different"} ink`;
  const said = [];
  for (const [side, arm] of [["boxes", boxesArm(state)], ["pixels", pixelsArm(state)]]) {
    const there = arm in data.arms;
    at(`${side}-arm`).textContent = there ? arm : `${arm} was not run`;
    if (!there) {
      at(side).replaceChildren();
      at(`${side}-bars`).replaceChildren();
      at(`${side}-f1`).textContent = "-";
      continue;
    }
    const step = data.arms[arm][state.ink][state.step];
    at(`${side}-f1`).textContent = shown(step.f1);
    const score = `${arm} scores an F1 within 2 px of ${shown(step.f1)}`;
    if (side === "boxes") {
      const count = (kind) => step.boxes.filter((box) => box.state === kind).length;
      at("overlap").textContent = shown(step.overlap);
      at("true-overlap").textContent = shown(step.true_overlap);
      at("formula").textContent = shown(step.formula);
      at("counts").textContent = `${count("chosen")}, ${count("kept")}, ${count("dropped")}`;
      picture(side, image, step, `${where}: ${score}, with ${count("chosen")} boxes that answer and ${count("dropped")} dropped.`);
    } else {
      picture(side, image, step, `${where}, each pixel coloured by the curve that it is said to be ink of: ${score}.`);
    }
    bars(`${side}-bars`, step.all);
    said.push(score);
  }
  at("said").textContent = `${where}: ${said.join("; ")}.`;
}

makeToggles();
const arms = Object.keys(data.arms);
if (!("A1" in data.arms)) {
  if (arms.includes("A2")) state.categories = "one";
  else if (arms.includes("A3")) state.grid = "tall";
}
if (!("B4" in data.arms) && arms.includes("B7")) state.head = "sigmoid";
at("separation").max = data.separations.length - 1;
at("separation").addEventListener("input", (event) => {
  state.step = Number(event.target.value);
  draw();
});
draw();
