// What the reader says of the pseudo boxes: kept by the browser while the page is open and after, and downloaded as a
// file that `psol import` takes.

const STORED_AS = `psol review ${DATA.run} ${DATA.boxes}`;
const reviews = new Map(Object.entries(stored()));
const undone = [];

function stored() {
  try {
    return JSON.parse(localStorage.getItem(STORED_AS)) || {};
  } catch {
    return {}; // a browser that keeps nothing for files
  }
}

function store() {
  try {
    localStorage.setItem(STORED_AS, JSON.stringify(Object.fromEntries(reviews)));
  } catch {
    // Then it is there until the page is closed, and the download is what counts.
  }
}

const canReview = (image) => DATA.boxes !== null && image.pseudo !== null;
const reviewOf = (image) => reviews.get(image.id) || null;

// Says it of an image; said again, it is taken back.
function judge(image, verdict, box = null) {
  if (!canReview(image)) return;
  const before = reviewOf(image);
  undone.push([image, before]);
  if (before && before.verdict === verdict && box === null) reviews.delete(image.id);
  else reviews.set(image.id, { verdict, ...(box ? { box } : {}) });
  store();
  changed(image);
}

function undo() {
  const [image, before] = undone.pop() || [];
  if (!image) return null;
  if (before) reviews.set(image.id, before);
  else reviews.delete(image.id);
  store();
  changed(image);
  return image;
}

function forgetReviews() {
  reviews.clear();
  undone.length = 0;
  store();
  changed(null);
}

function reviewFile() {
  const byId = new Map(IMAGES.map((image) => [image.id, image]));
  const images = [...reviews].filter(([id]) => byId.has(id)).map(([id, { verdict, box }]) => ({
    image_id: id,
    verdict,
    ...(verdict === "rejected" ? {} : { box: box || byId.get(id).pseudo }),
  }));
  return {
    format: "psol_ray review 1",
    about: "Pseudo boxes that somebody has looked at. Boxes are x0, y0, x1, y1 in pixels of the image as stored; " +
      "images that are not here have not been looked at.",
    run: DATA.run,
    boxes: DATA.boxes,
    images: images.sort((a, b) => (a.image_id < b.image_id ? -1 : 1)),
  };
}

function downloadReview() {
  const text = JSON.stringify(reviewFile(), null, 1) + "\n";
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  element("a", { href: address, download: "review.json" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
