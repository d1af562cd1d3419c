// Scanning with the camera where the browser can, a picture otherwise; and a code opened by another scanner.
import { say } from "./say.js";

// A picture is sent as soon as it is chosen.
document.getElementById("picture")?.addEventListener("change", ({ target }) => {
  if (target.files.length) target.form.requestSubmit();
});

const finder = document.querySelector("[data-camera]");
if (finder) camera(finder);

async function camera(finder) {
  const caption = finder.querySelector("[data-caption]");
  const without = document.querySelector("[data-no-camera]");
  const video = finder.querySelector("video");
  const form = document.getElementById("scan");
  const formats = await globalThis.BarcodeDetector?.getSupportedFormats().catch(() => []);
  if (!formats?.includes("qr_code") || !navigator.mediaDevices?.getUserMedia) return;
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch {
    without.querySelector("[data-why]").textContent = say(
      "没有相机权限，请选择收款码的图片",
      "The camera is not allowed. Choose a picture of the code",
    );
    return;
  }
  const stop = () => video.srcObject.getTracks().forEach((track) => track.stop());
  addEventListener("pagehide", stop);
  without.hidden = true;
  finder.hidden = false;
  await video.play();
  const detector = new BarcodeDetector({ formats: ["qr_code"] });
  for (;;) {
    await new Promise((next) => setTimeout(next, 200));
    const [code] = await detector.detect(video).catch(() => []);
    if (!code?.rawValue) continue;
    stop();
    caption.textContent = say("已识别，正在打开…", "Found, opening…");
    form.elements.text.value = code.rawValue.slice(0, 600);
    form.requestSubmit();
    return;
  }
}

// The link of a code carries its signature behind the `#`, which a browser does not send: send the whole link on. A
// person who has to sign in first comes back here, and finds the signature where it was kept for the tab.
const landing = document.querySelector("[data-link]");
if (landing) {
  const key = `code:${location.pathname}`;
  try {
    if (location.hash) sessionStorage.setItem(key, location.hash);
    const link = location.origin + location.pathname + (location.hash || sessionStorage.getItem(key) || "");
    if (landing.elements) landing.elements.text.value = link;
  } catch {
    if (landing.elements) landing.elements.text.value = location.href;
  }
}
