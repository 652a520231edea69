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

const FINER = 16; // pixels a cell

// Between the middles of cells, as the boxes' bilinear upsampling has it: a box ends where this crosses zero.
function between(values, height, width, y, x) {
  const inside = (at, end) => Math.min(Math.max(at, 0), end - 1);
  const [top, left] = [Math.floor(y), Math.floor(x)];
  const value = (row, column) => values[inside(row, height) * width + inside(column, width)];
  const mix = (first, second, share) => first + (second - first) * share;
  const row = (at) => mix(value(at, left), value(at, left + 1), x - left);
  return mix(row(top), row(top + 1), y - top);
}

// The heat's values are signed bytes, row by row; what is above zero is object.
function heatCanvas(image) {
  const { height, width, values } = image.heat;
  const bytes = Int8Array.from(atob(values), (character) => character.charCodeAt(0));
  const highest = Math.max(...bytes, 1);
  const canvas = element("canvas", {
    width: width * FINER, height: height * FINER, class: "heat", role: "img", "aria-label": "heat",
  });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(canvas.width, canvas.height);
  for (let row = 0; row < canvas.height; row += 1) {
    for (let column = 0; column < canvas.width; column += 1) {
      const value = between(bytes, height, width, (row + 0.5) / FINER - 0.5, (column + 0.5) / FINER - 0.5);
      const share = value / highest;
      const colour = value > 0 ? [255, 200 - 160 * share, 0, 70 + 130 * share] : [0, 0, 0, 110];
      pixels.data.set(colour, 4 * (row * canvas.width + column));
    }
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}
