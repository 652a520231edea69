// Which images are shown, and in which order.

const MEASURES = {
  doubt: ["doubt, most first", (image) => -image.doubt],
  pseudo_iou: [`IoU of ${DATA.generator}, worst first`, (image) => image.pseudo_iou],
  localizer_iou: ["IoU of the localizer, worst first", (image) => image.localizer_iou],
  sign_margin: ["sign margin, lowest first", (image) => image.sign_margin],
  explained_variance_ratio: ["explained variance, lowest first", (image) => image.explained_variance_ratio],
  mean_heat: ["mean heat, lowest first", (image) => image.mean_heat],
  area_fraction: ["area, smallest first", (image) => image.area_fraction],
  large: ["area, largest first", (image) => -image.area_fraction],
};
const measured = (name) => IMAGES.some((image) => image[name === "large" ? "area_fraction" : name] !== null);
const controls = document.getElementById("controls");

const STATUSES = {
  ok: ["box found", (image) => image.status === "ok"],
  no_foreground: ["no foreground", (image) => image.status === "no_foreground"],
  pseudo_wrong: [`${DATA.generator} wrong`, (image) => image.pseudo_right === false],
  pseudo_right: [`${DATA.generator} right`, (image) => image.pseudo_right === true],
  localizer_wrong: ["localizer wrong", (image) => image.localizer_right === false],
  class_wrong: ["class wrong", (image) => image.class_right === false],
};

function fillSelect(name, options) {
  const select = controls.elements[name];
  select.append(...options.map(([value, text]) => element("option", { value }, text)));
  select.closest("label").hidden = select.options.length < 2;
}

function fillControls() {
  fillSelect("sort", [
    ...Object.keys(MEASURES).filter(measured).map((name) => [name, MEASURES[name][0]]),
    ["class", "class"],
  ]);
  const classes = [...new Set(IMAGES.map((image) => image.class))].sort();
  fillSelect("class", classes.length > 1 ? classes.map((name) => [name, name]) : []);
  const splits = [...new Set(IMAGES.map((image) => image.split))].sort();
  fillSelect("split", splits.length > 1 ? splits.map((name) => [name, `${name} images`]) : []);
  fillSelect("status", Object.entries(STATUSES)
    .filter(([, [, holds]]) => IMAGES.some(holds)).map(([name, [text]]) => [name, text]));
  fillSelect("review", DATA.boxes === null ? [] : [["none", "not yet"], ...VERDICTS.map((name) => [name, name])]);
  const best = measured("pseudo_iou") || measured("localizer_iou");
  controls.elements.iou.closest("label").hidden = !best;
  controls.elements.doubt.closest("label").hidden = !measured("doubt");
  controls.elements.sort.value = measured("pseudo_iou") ? "pseudo_iou" : controls.elements.sort.options[0].value;
}

// The IoU that the slider means: of whom the order speaks, else of the pseudo box, where there is one.
function iouOf(image) {
  if (controls.elements.sort.value === "localizer_iou" || image.pseudo_iou === null) return image.localizer_iou;
  return image.pseudo_iou;
}

function isShown(image) {
  const { class: class_, split, status, review, iou, doubt } = controls.elements;
  const said = reviewOf(image);
  return (
    (!class_.value || image.class === class_.value) &&
    (!split.value || image.split === split.value) &&
    (!status.value || STATUSES[status.value][1](image)) &&
    (!review.value || (said ? said.verdict : "none") === review.value) &&
    // At its end a slider says nothing, not even of images without the number.
    (iou.value === iou.max || (iouOf(image) !== null && iouOf(image) <= Number(iou.value))) &&
    (doubt.value === doubt.min || (image.doubt !== null && image.doubt >= Number(doubt.value)))
  );
}

function inOrder(images) {
  const name = controls.elements.sort.value;
  if (name === "class") {
    return [...images].sort((a, b) => (a.class < b.class ? -1 : a.class > b.class ? 1 : a.id < b.id ? -1 : 1));
  }
  const [, key] = MEASURES[name];
  const unknown = (image) => image[name === "large" ? "area_fraction" : name] === null;
  return [...images].sort((a, b) => unknown(a) - unknown(b) || key(a) - key(b) || (a.id < b.id ? -1 : 1));
}
