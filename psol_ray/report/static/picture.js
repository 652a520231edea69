// A picture with its boxes, and the heat over it, all in pixels of the stored image.

function boxElement(kind, [x0, y0, x1, y1]) {
  return svgElement("rect", { class: kind, x: x0, y: y0, width: x1 - x0, height: y1 - y0 });
}

// Each box twice: a dark casing keeps a line legible on any picture. Who speaks last lies on top.
function drawBoxes(image, svg) {
  const review = reviewOf(image);
  const boxes = [
    ...image.truth.map((box) => ["gt", box]),
    ...(image.pseudo && !(review && review.box) ? [["pseudo", image.pseudo]] : []),
    ...(image.localizer ? [["loc", image.localizer]] : []),
    ...(review && review.box ? [["mine", review.box]] : []),
  ];
  svg.replaceChildren(
    ...boxes.flatMap(([kind, box]) => [boxElement(`casing ${kind}`, box), boxElement(kind, box)]),
  );
}

function describe(image) {
  const said = [];
  if (image.pseudo) said.push(`${DATA.generator} box` + (image.pseudo_iou === null ? "" : `, IoU ${iouText(image.pseudo_iou)}`));
  if (image.localizer) said.push("localizer’s box" + (image.localizer_iou === null ? "" : `, IoU ${iouText(image.localizer_iou)}`));
  return `${image.class}${image.thumbnail ? "" : " (cannot be read)"}: ${said.join("; ") || "no box"}`;
}

function picture(image) {
  const [width, height] = image.size.map((side) => side || 1);
  const svg = svgElement("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  drawBoxes(image, svg);
  const shown = image.thumbnail
    ? element("img", { src: image.thumbnail, alt: describe(image), decoding: "async" })
    : element("p", { class: "gone" }, "cannot be read");
  return { shown, svg };
}

// The heat's values are signed bytes, row by row; what is above zero is object. Drawn at its own size and stretched by
// the browser, which smooths it as the boxes' bilinear upsampling does.
function heatCanvas(image) {
  const { height, width, values } = image.heat;
  const bytes = Int8Array.from(atob(values), (character) => character.charCodeAt(0));
  const canvas = element("canvas", { width, height, class: "heat", role: "img", "aria-label": "heat" });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  const highest = Math.max(...bytes, 1);
  bytes.forEach((value, at) => {
    const share = value / highest;
    pixels.data.set(value > 0 ? [255, 200 - 160 * share, 0, 70 + 130 * share] : [0, 0, 0, 110], 4 * at);
  });
  context.putImageData(pixels, 0, 0);
  return canvas;
}
