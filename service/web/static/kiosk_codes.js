// QR codes that a person holds to the kiosk, read in the browser where it can (BarcodeDetector), else by the service.

const MISSES = 8;

export class CodeReader {
  constructor(camera) {
    this.camera = camera;
    this.detector = null;
    this.misses = 0;
    this.ready = this.#begin();
  }

  async #begin() {
    try {
      const formats = await globalThis.BarcodeDetector?.getSupportedFormats();
      if (formats?.includes("qr_code")) this.detector = new BarcodeDetector({ formats: ["qr_code"] });
    } catch {
      this.detector = null;
    }
  }

  // Resolves to the texts of the codes that fit, of what the screen shows now. Resolves to null if the service must read
  // them from a frame: the browser cannot, or it has found none for some looks, and the service may see what it misses.
  async read(fits) {
    await this.ready;
    if (this.detector === null || this.misses >= MISSES) return null;
    try {
      const found = await this.camera.shown((canvas) => this.detector.detect(canvas));
      const texts = (found || []).map((one) => one.rawValue).filter((one) => fits.test(one));
      this.misses = texts.length ? 0 : this.misses + 1;
      return texts;
    } catch {
      this.detector = null; // a browser that has the interface, and no reader behind it
      return null;
    }
  }

  // Another person, or another try: the browser reads first again.
  again() {
    this.misses = 0;
  }
}
