"use strict";
// The search: every word has to be in an option's name or its description. Those whose name fits
// best come first.
const box = document.querySelector("input");
const output = document.querySelector("output");
const list = document.getElementById("options");
const none = document.getElementById("none");
const groups = [...document.querySelectorAll("nav a")];
const options = [...document.querySelectorAll("details")].map((element) => {
  const code = element.querySelector("summary code");
  return {
    element,
    code,
    name: code.textContent,
    lower: code.textContent.toLowerCase(),
    text: element.lastElementChild.textContent.toLowerCase(),
    group: element.dataset.group,
    shown: true,
    marked: false,
  };
});
let group = null;
let found = options;

// How well an option fits, the lower the better; null if a word is nowhere in it.
function rank(option, words) {
  let sum = 0;
  for (const word of words) {
    const at = option.lower.indexOf(word);
    if (at === 0) sum += 0;
    else if (at > 0 && option.lower[at - 1] === ".") {
      const end = option.lower[at + word.length];
      sum += end === undefined || end === "." ? 1 : 2;
    } else if (at > 0) sum += 3;
    else if (option.text.includes(word)) sum += 10;
    else return null;
  }
  return sum;
}

function mark(option, words) {
  if (!words.length && !option.marked) return;
  const wide = [];
  for (const word of words) {
    for (let at = option.lower.indexOf(word); at >= 0; at = option.lower.indexOf(word, at + 1)) {
      wide.push([at, at + word.length]);
    }
  }
  wide.sort((a, b) => a[0] - b[0]);
  const parts = [];
  let done = 0;
  const plain = (end) => {
    // A name may be broken after its dots.
    for (const piece of option.name.slice(done, end).split(/(?<=\.)/)) {
      parts.push(piece);
      if (piece.endsWith(".")) parts.push(document.createElement("wbr"));
    }
  };
  for (const [start, end] of wide) {
    if (end <= done) continue;
    plain(start);
    const element = document.createElement("mark");
    element.textContent = option.name.slice(Math.max(start, done), end);
    parts.push(element);
    done = end;
  }
  plain(option.name.length);
  option.code.replaceChildren(...parts);
  option.marked = wide.length > 0;
}

function search() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  found = [];
  for (const option of options) {
    const fit = group && option.group !== group ? null : rank(option, words);
    if ((fit !== null) !== option.shown) {
      option.shown = fit !== null;
      option.element.hidden = !option.shown;
    }
    if (fit === null) continue;
    option.fit = fit;
    mark(option, words);
    found.push(option);
  }
  if (words.length) found.sort((a, b) => a.fit - b.fit);
  // Where the eye goes, Tab goes too: the tree itself is in this order.
  list.append(...found.map((option) => option.element));
  none.hidden = found.length > 0;
  const all = options.length;
  output.value = found.length === all ? `${all} options` : `${found.length} of ${all} options`;
  for (const link of groups) {
    if (link.dataset.group === group) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  const query = words.length ? `?q=${encodeURIComponent(box.value)}` : location.pathname;
  try {
    history.replaceState(null, "", query);
  } catch {
    // A page that was opened from a file may not change its address; the search works all the same.
  }
}

function open(id) {
  const element = id && document.getElementById(id);
  if (!element || element.tagName !== "DETAILS") return;
  if (element.hidden) {
    box.value = "";
    group = null;
    search();
  }
  element.open = true;
  element.scrollIntoView();
  element.querySelector("summary").focus({ preventScroll: true });
}

function move(step) {
  const summaries = found.map((option) => option.element.firstElementChild);
  const at = summaries.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : -1) : at + step;
  if (next < 0) box.focus();
  else if (next < summaries.length) {
    summaries[next].focus();
    summaries[next].scrollIntoView({ block: "nearest" });
  }
}

box.addEventListener("input", search);
box.form.addEventListener("submit", (event) => {
  event.preventDefault();
  move(1);
});
for (const link of groups) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    group = group === link.dataset.group ? null : link.dataset.group;
    search();
    scrollTo(0, 0);
  });
}
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const typing = document.activeElement === box;
  if (event.key === "/" && !typing) box.select();
  else if (event.key === "Escape") {
    box.value = "";
    group = null;
    search();
    box.focus();
  } else if (event.key === "ArrowDown" || (event.key === "j" && !typing)) move(1);
  else if (event.key === "ArrowUp" || (event.key === "k" && !typing)) move(-1);
  else return;
  event.preventDefault();
});
addEventListener("hashchange", () => open(decodeURIComponent(location.hash.slice(1))));

const start = decodeURIComponent(location.hash.slice(1));
const asked = new URLSearchParams(location.search).get("q");
if (asked) {
  box.value = asked;
  search();
}
open(start);
