// The contact sheet: cards of those images that are shown, a screenful or two at a time.

const AT_ONCE = 60;
const sheet = document.getElementById("cards");
let shown = [];
let numCards = 0;

function verdictMark(image) {
  const review = reviewOf(image);
  return review ? element("span", { class: `verdict ${review.verdict}` }, review.verdict) : null;
}

function iouMark(name, kind, iou, right) {
  return element("span", { class: `iou ${kind}` }, `${name} `,
    ...(iou === null ? [] : [
      element("b", {}, iouText(iou)), " ",
      element("span", { class: right ? "right" : "wrong", role: "img", "aria-label": right ? "right" : "wrong" }, right ? "✓" : "✗"),
    ]));
}

function card(image, place) {
  const { shown: picture_, svg } = picture(image);
  return element("button", { type: "button", class: "card", title: image.id, "data-place": place },
    element("span", { class: "frame" }, picture_, svg),
    element("span", { class: "name" }, image.class),
    element("span", { class: "ious" },
      image.pseudo ? iouMark(DATA.generator, "pseudo", image.pseudo_iou, image.pseudo_right) : null,
      image.localizer ? iouMark("localizer", "loc", image.localizer_iou, image.localizer_right) : null),
    image.doubt === null ? null : element("span", { class: "quiet" }, `doubt ${number(image.doubt)}`),
    verdictMark(image));
}

function showMore(count = AT_ONCE) {
  const more = shown.slice(numCards, numCards + count);
  sheet.append(...more.map((image, at) => card(image, numCards + at)));
  numCards += more.length;
  document.getElementById("more").hidden = numCards >= shown.length;
}

function showSheet() {
  shown = inOrder(IMAGES.filter(isShown));
  sheet.replaceChildren();
  numCards = 0;
  showMore();
  controls.elements.count.textContent =
    shown.length === IMAGES.length ? `all ${IMAGES.length} images` : `${shown.length} of ${IMAGES.length} images`;
  for (const slider of [controls.elements.iou, controls.elements.doubt]) {
    slider.nextElementSibling.textContent = Number(slider.value).toFixed(2);
  }
}

// The card of a place, made where it is not there yet.
function cardAt(place) {
  if (place >= numCards) showMore(place + 1 - numCards);
  return sheet.children[place] || null;
}

function redraw(image) {
  const place = shown.indexOf(image);
  if (place < 0 || place >= numCards) return;
  const had = sheet.children[place].contains(document.activeElement);
  const made = card(image, place);
  sheet.children[place].replaceWith(made);
  if (had) made.focus();
}

// Cards in one row of the grid, as the browser has laid them out.
function numColumns() {
  const tops = [...sheet.children].map((made) => made.offsetTop);
  const next = tops.findIndex((top) => top > tops[0]);
  return next < 0 ? tops.length : next;
}
