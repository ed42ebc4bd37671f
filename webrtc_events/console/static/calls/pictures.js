// The ladder as a picture, drawn by the browser from the SVG file.

const SCALE = 2;
// What all browsers can draw on: pixels of a side, and of the whole.
const MAX_SIDE = 16_384;
const MAX_PIXELS = 120_000_000;

export function offerPictures(page) {
  const png = page.querySelector(".png");
  const kept = page.querySelector("template.picture");
  const text = async () => {
    if (kept) return kept.content.textContent;
    const answer = await fetch(page.querySelector(".exports .svg").getAttribute("href"));
    if (!answer.ok) throw new Error(`${answer.status}`);
    return answer.text();
  };
  png.hidden = false;
  png.closest(".exports").hidden = false;
  png.addEventListener("click", async () => {
    png.disabled = true;
    try {
      save(await drawn(await text()), png.dataset.name);
      png.textContent = "PNG";
    } catch {
      png.textContent = "PNG failed; try again";
    }
    png.disabled = false;
  });
  const svg = page.querySelector(".svg-button");
  svg?.addEventListener("click", async () => save(svgBlob(await text()), svg.dataset.name));
}

const svgBlob = (text) => new Blob([text], { type: "image/svg+xml" });

async function drawn(text) {
  const address = URL.createObjectURL(svgBlob(text));
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const { naturalWidth: width, naturalHeight: height } = image;
    const scale = Math.min(SCALE, MAX_SIDE / width, MAX_SIDE / height, Math.sqrt(MAX_PIXELS / (width * height)));
    const canvas = document.createElement("canvas");
    canvas.width = Math.floor(width * scale);
    canvas.height = Math.floor(height * scale);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) => {
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png");
    });
  } finally {
    URL.revokeObjectURL(address);
  }
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
