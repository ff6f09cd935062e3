"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const ROW = 64, AHEAD = 8;
const byId = (id) => document.getElementById(id);
const [IMAGE, OTHER, DISTANCE, REASON, DECISION, DIFFER, MORE] = [0, 1, 2, 3, 4, 5, 6];
const [SET, SOURCE, CLASS, PICTURE] = [0, 1, 2, 3];
const LISTED = "kept because listed";
const store = "mixer-duplicates-" + data.id;
const state = { tab: "duplicates", shown: [], at: 0, verdicts: {}, saved: true, unsaved: false };

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}
const count = (number, noun) =>
  number.toLocaleString("en-US") + " " + noun + (number === 1 ? "" : "s");
const imageOf = (pair, side) => data.images[data.pairs[pair][side]];
const setOf = (image) => data.sets[image[SET]];
const classOf = (image) => data.classes[image[CLASS]];
const verdictOf = (pair) => state.verdicts[pair] || "u";
const current = () => state.shown[state.at];

function loadVerdicts() {
  try {
    const kept = JSON.parse(localStorage.getItem(store) || "{}");
    for (const [pair, verdict] of Object.entries(kept)) {
      if (data.pairs[pair] && (verdict === "y" || verdict === "n")) state.verdicts[pair] = verdict;
    }
  } catch (error) { state.saved = false; }
}
function saveVerdicts() {
  try { localStorage.setItem(store, JSON.stringify(state.verdicts)); state.saved = true; }
  catch (error) { state.saved = false; }
  byId("warning").textContent = state.saved ? "" :
    "This browser does not store verdicts: save the list before you close the page.";
}

function fillSelect(id, names, every) {
  const select = byId(id);
  select.replaceChildren(new Option(every, ""));
  for (const [name, number] of names) select.append(new Option(name + " (" + number + ")", name));
  select.value = "";
  select.parentElement.hidden = names.length < 2;
}
function tally(pairs, namesOf) {
  const found = new Map();
  for (const pair of pairs) {
    for (const name of new Set(namesOf(pair))) found.set(name, (found.get(name) || 0) + 1);
  }
  return [...found].sort((a, b) => (a[0] < b[0] ? -1 : 1));
}
const inTab = () => data.pairs.map((_, pair) => pair)
  .filter((pair) => Boolean(data.pairs[pair][DIFFER]) === (state.tab === "labels"));
const classesOf = (pair) =>
  [classOf(imageOf(pair, IMAGE)), classOf(imageOf(pair, OTHER))].filter((name) => name);

function chooseTab(tab) {
  state.tab = tab;
  for (const name of ["duplicates", "labels"]) {
    byId("tab-" + name).setAttribute("aria-selected", String(name === tab));
  }
  byId("about").textContent = tab === "labels"
    ? "Both images look alike, but have different labels: one label is wrong, or what " +
      "distinguishes them is too small to be measured. An image with the bytes of a test image " +
      "is removed all the same."
    : "Left: the image that the decision is about. Right: the image that it is a duplicate of.";
  const pairs = inTab();
  fillSelect("by-set", tally(pairs, (pair) => [setOf(imageOf(pair, OTHER))]), "any set");
  fillSelect("by-image-set", tally(pairs, (pair) => [setOf(imageOf(pair, IMAGE))]), "any set");
  fillSelect("by-class", tally(pairs, classesOf), "any class");
  fillSelect("by-decision", tally(pairs, (pair) => [data.decisions[data.pairs[pair][DECISION]]]),
    "any decision");
  refresh(0);
}

function refresh(at) {
  const [set, from, name, decision, verdict] =
    ["by-set", "by-image-set", "by-class", "by-decision", "by-verdict"].map((id) => byId(id).value);
  const path = byId("by-path").value;
  state.shown = inTab().filter((pair) =>
    (!set || setOf(imageOf(pair, OTHER)) === set) &&
    (!from || setOf(imageOf(pair, IMAGE)) === from) &&
    (!name || classesOf(pair).includes(name)) &&
    (!decision || data.decisions[data.pairs[pair][DECISION]] === decision) &&
    (!verdict || verdictOf(pair) === verdict) &&
    (!path || imageOf(pair, IMAGE)[SOURCE].includes(path) ||
      imageOf(pair, OTHER)[SOURCE].includes(path)));
  if (byId("order").value) state.shown.reverse();
  byId("list").style.height = state.shown.length * ROW + "px";
  byId("count").textContent = count(state.shown.length, "pair");
  select(at);
}

function select(at) {
  state.at = Math.max(0, Math.min(at, state.shown.length - 1));
  const box = byId("scroll"), top = state.at * ROW;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + ROW > box.scrollTop + box.clientHeight) {
    box.scrollTop = top + ROW - box.clientHeight;
  }
  renderRows();
  renderDetail();
}

function picture(image, className) {
  if (image[PICTURE] < 0) return element("div", undefined, className);
  const made = element("img", undefined, className);
  made.alt = "";
  made.src = "data:image/jpeg;base64," + data.pictures[image[PICTURE]];
  return made;
}
const lastPart = (path) => path.slice(path.replace(/\/+$/, "").lastIndexOf("/") + 1);

function makeRow(position) {
  const pair = state.shown[position], [left, right] = [IMAGE, OTHER].map((i) => imageOf(pair, i));
  const row = element("div", undefined, "row");
  row.style.top = position * ROW + "px";
  row.id = "pair-" + pair;
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", String(position === state.at));
  row.setAttribute("aria-posinset", position + 1);
  row.setAttribute("aria-setsize", state.shown.length);
  const words = element("div", undefined, "words");
  words.append(
    element("div", data.pairs[pair][DISTANCE].toFixed(4) + " · " +
      data.reasons[data.pairs[pair][REASON]] + " · " + data.decisions[data.pairs[pair][DECISION]]),
    element("div", lastPart(left[SOURCE]) + (classOf(left) ? " (" + classOf(left) + ")" : "")),
    element("div", setOf(right) + ": " + lastPart(right[SOURCE]) +
      (classOf(right) ? " (" + classOf(right) + ")" : "")));
  const verdict = verdictOf(pair);
  const sign = { y: "✓", n: "✗", u: "" }[verdict];
  row.append(picture(left, "thumb"), picture(right, "thumb"), words,
    element("div", sign, "sign " + { y: "yes", n: "no", u: "" }[verdict]));
  row.addEventListener("click", () => select(position));
  return row;
}

function renderRows() {
  const box = byId("scroll"), list = byId("list");
  const first = Math.max(0, Math.floor(box.scrollTop / ROW) - AHEAD);
  const last = Math.min(state.shown.length,
    Math.ceil((box.scrollTop + box.clientHeight) / ROW) + AHEAD);
  const rows = [];
  for (let position = first; position < last; position += 1) rows.push(makeRow(position));
  list.replaceChildren(...rows);
  box.setAttribute("aria-activedescendant", "pair-" + current());
}

function figure(image, differs) {
  const made = element("figure"), frame = element("div", undefined, "frame");
  const shown = picture(image, "");
  if (image[PICTURE] < 0) frame.append(element("div", "no picture on this page", "none"));
  else {
    shown.addEventListener("load", () => {
      if (Math.max(shown.naturalWidth, shown.naturalHeight) <= 64) shown.className = "tiny";
    });
    frame.append(shown);
  }
  const caption = element("figcaption");
  caption.append(element("div", setOf(image)));
  if (classOf(image)) {
    caption.append(element("div", classOf(image), "class" + (differs ? " differs" : "")));
  }
  caption.append(element("div", image[SOURCE], "path"));
  made.append(frame, caption);
  return made;
}

function renderDetail() {
  const pair = current(), detail = byId("detail");
  detail.hidden = pair === undefined;
  if (pair === undefined) return;
  const row = data.pairs[pair], [left, right] = [IMAGE, OTHER].map((side) => imageOf(pair, side));
  byId("facts").replaceChildren(
    element("strong",
      (state.at + 1).toLocaleString("en-US") + " of " + count(state.shown.length, "pair")),
    element("span", "distance " + row[DISTANCE].toFixed(4)),
    element("span", data.reasons[row[REASON]]),
    element("strong", data.decisions[row[DECISION]]));
  const differs = Boolean(row[DIFFER]);
  byId("images").replaceChildren(figure(left, differs), figure(right, differs));
  for (const verdict of ["y", "n", "u"]) {
    byId("say-" + verdict).setAttribute("aria-pressed", String(verdictOf(pair) === verdict));
  }
  const others = pairsOfImage.get(row[IMAGE]).length - 1;
  byId("more").textContent = [
    others ? "The left image has " + count(others, "other pair") + " here." : "",
    row[MORE] ? "It has further pairs that this page leaves out." : ""].join(" ").trim();
}

const pairsOfImage = new Map();
data.pairs.forEach((row, pair) => {
  if (!pairsOfImage.has(row[IMAGE])) pairsOfImage.set(row[IMAGE], []);
  pairsOfImage.get(row[IMAGE]).push(pair);
});

function toKeep() {
  const kept = [];
  let doubtful = 0;
  for (const [image, pairs] of pairsOfImage) {
    const verdicts = pairs.map(verdictOf);
    const isListed = pairs.some((pair) => data.decisions[data.pairs[pair][DECISION]] === LISTED);
    const hasMore = pairs.some((pair) => data.pairs[pair][MORE]);
    const isKept = isListed ? !verdicts.includes("y")
      : !hasMore && verdicts.every((verdict) => verdict === "n");
    if (isKept) kept.push(data.images[image][SOURCE]);
    else if (verdicts.includes("n")) doubtful += 1;
  }
  return { kept: [...new Set(kept)].sort(), doubtful };
}
// What `--keep-duplicates` would read as a comment, trim or split is written as JSON.
const isPlain = (path) => /^[^\s#{]$|^[^\s#{].*\S$/.test(path) &&
  !/[\u0000-\u001f\u007f-\u00a0\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f\u3000\ufeff]/.test(path);
const toLine = (path) => isPlain(path) ? path : JSON.stringify({ image: { source: path } });

function exportList() {
  const { kept } = toKeep();
  const lines = ["# Images that are not duplicates, for --keep-duplicates=FILE",
    ...kept.map(toLine)];
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/plain" }));
  link.download = "keep-duplicates.txt";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  state.unsaved = false;
}

function renderProgress() {
  const judged = Object.keys(state.verdicts).length, { kept, doubtful } = toKeep();
  byId("progress").textContent = judged.toLocaleString("en-US") + " of " +
    count(data.pairs.length, "pair") + " judged, " + count(kept.length, "image") + " to keep" +
    (doubtful ? "; " + count(doubtful, "image") + " with a “not a duplicate” not kept, because " +
      "other pairs of it are undecided, duplicates, or not shown" : "");
  byId("export").disabled = !kept.length;
}

function say(verdict) {
  const pair = current();
  if (pair === undefined) return;
  if (verdict === "u") delete state.verdicts[pair];
  else state.verdicts[pair] = verdict;
  state.unsaved = true;
  saveVerdicts();
  renderProgress();
  const stays = verdict === "u" || byId("by-verdict").value;
  if (byId("by-verdict").value) refresh(state.at);
  else select(state.at + (stays ? 0 : 1));
}

function bringIntoView() {
  const { top, bottom } = byId("work").getBoundingClientRect();
  if (top < 0 || bottom > innerHeight) byId("tabs").scrollIntoView();
}

const MOVES = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1, PageDown: 10, PageUp: -10,
  Home: -Infinity, End: Infinity };
document.addEventListener("keydown", (event) => {
  const isTyping = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName);
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  if (event.key in MOVES) select(state.at + MOVES[event.key]);
  else if (["y", "n", "u"].includes(event.key)) say(event.key);
  else if (event.key === "?") byId("help").showModal();
  else return;
  event.preventDefault();
  if (event.key !== "?") bringIntoView();
});
let waiting = false;
byId("scroll").addEventListener("scroll", () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; renderRows(); });
});
addEventListener("resize", renderRows);
addEventListener("beforeunload", (event) => {
  if (state.unsaved && !state.saved) event.preventDefault();
});
for (const id of ["by-set", "by-image-set", "by-class", "by-decision", "by-verdict", "order"]) {
  byId(id).addEventListener("change", (event) => { refresh(0); event.target.blur(); });
}
byId("by-path").addEventListener("input", () => refresh(0));
byId("bar").addEventListener("submit", (event) => event.preventDefault());
for (const verdict of ["y", "n", "u"]) byId("say-" + verdict).onclick = () => say(verdict);
byId("export").onclick = exportList;
byId("help-button").onclick = () => byId("help").showModal();

const numLabels = data.pairs.filter((row) => row[DIFFER]).length;
const numDuplicates = data.pairs.length - numLabels;
byId("tab-duplicates").textContent = "Duplicates (" + numDuplicates.toLocaleString("en-US") + ")";
byId("tab-labels").textContent = "Labels disagree (" + numLabels.toLocaleString("en-US") + ")";
byId("tab-duplicates").onclick = () => chooseTab("duplicates");
byId("tab-labels").onclick = () => chooseTab("labels");
byId("pairs").hidden = !data.pairs.length;
loadVerdicts();
if (data.pairs.length) {
  chooseTab(numDuplicates ? "duplicates" : "labels");
  renderProgress();
  if (!state.saved) saveVerdicts();
}
