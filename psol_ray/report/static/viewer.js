// One image, large: what is known of it, its heat, and the reader's verdict.

const viewer = document.getElementById("viewer");
const part = (name) => viewer.querySelector(`[data-part=${name}]`);
let current = null;
let withHeat = false;

function facts(image) {
  const box = reviewOf(image)?.box || image.pseudo;
  const rows = [
    ["image", image.id],
    ["split", `${image.split}, ${image.size.join(" × ")} pixels`],
    ["status", image.status],
    [DATA.generator, box && box.map((corner) => corner.toFixed(1)).join(", ")],
    ["IoU", image.pseudo_iou === null ? null : iouText(image.pseudo_iou)],
    ["localizer’s IoU", image.localizer_iou === null ? null : iouText(image.localizer_iou)],
    ["predicted", image.predicted && `${image.predicted} (${number(100 * image.probability, 0)} %)`],
    ["doubt", image.doubt === null ? null : number(image.doubt)],
    ["sign margin", image.sign_margin === null ? null : number(image.sign_margin)],
    ["explained variance", image.explained_variance_ratio === null ? null : number(image.explained_variance_ratio, 3)],
    ["area", image.area_fraction === null ? null : `${number(100 * image.area_fraction, 1)} %`],
    ["mean heat", image.mean_heat === null ? null : number(image.mean_heat)],
  ];
  return rows.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
}

function view(image) {
  if (!image) return;
  stopEditing();
  current = image;
  const place = shown.indexOf(image);
  const { shown: picture_, svg } = picture(image);
  const frame = part("frame");
  const [width, height] = image.size.map((side) => side || 1);
  frame.style.setProperty("--ratio", width / height);
  frame.replaceChildren(picture_, ...(withHeat && image.heat ? [heatCanvas(image)] : []), svg);
  part("name").textContent = image.class;
  part("place").textContent = `${place + 1} of ${shown.length}`;
  part("facts").replaceChildren(...facts(image));
  part("heat").hidden = !image.heat;
  part("heat").setAttribute("aria-pressed", withHeat);
  part("verdicts").hidden = !canReview(image);
  for (const button of part("verdicts").querySelectorAll("[data-verdict]")) {
    button.setAttribute("aria-pressed", reviewOf(image)?.verdict === button.dataset.verdict);
  }
  if (!viewer.open) viewer.showModal();
}

function step(by) {
  view(shown[shown.indexOf(current) + by]);
}

function openAt(place) {
  view(shown[place]);
}

function toggleHeat() {
  withHeat = !withHeat;
  view(current);
}

viewer.addEventListener("close", () => {
  stopEditing();
  const card_ = cardAt(Math.max(shown.indexOf(current), 0));
  current = null;
  if (card_) card_.focus();
});
