// What the page was given, and what the reader has made of it so far.

const DATA = JSON.parse(document.getElementById("sheet-data").textContent);
const IMAGES = DATA.images;
const VERDICTS = ["accepted", "rejected", "corrected"];

const number = (value, digits = 2) => (value === null ? "–" : value.toFixed(digits));
// Rounded down: 0.499 is no 0.50, which would be right. Hundredths first, or 0.29 would be 0.28.
const iouText = (value) => (value === null ? "–" : (Math.floor(Number((100 * value).toFixed(7))) / 100).toFixed(2));

// An element with attributes and children. Texts become text nodes: no name is ever markup.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function svgElement(tag, attributes = {}) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
