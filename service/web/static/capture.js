// Takes photos of one person by the camera: the site says what to do next, and good pictures are taken automatically.
// Frames live in one canvas and are overwritten; nothing is stored.

const LONGEST_SIDE = 960;
const QUALITY = 0.92;
const PAUSE_MS = 250;
const CALM_MS = 900;
const SAMPLE = 64;

export class CameraError extends Error {
  constructor(kind) {
    super(kind);
    this.kind = kind;
  }
}

// Three poses, in an order that changes each time; the calmer way is three times straight ahead.
export function poses(isCalm) {
  if (isCalm) return ["any", "any", "any"];
  const turned = crypto.getRandomValues(new Uint8Array(1))[0] & 1 ? ["left", "right"] : ["right", "left"];
  const at = crypto.getRandomValues(new Uint8Array(1))[0] % 3;
  return turned.toSpliced(at, 0, "straight");
}

export class Capture {
  // `look` sends a frame and a pose, and returns the advice; `tell` shows an advice and how many photos there are.
  constructor(video, look, tell) {
    this.video = video;
    this.look = look;
    this.tell = tell;
    this.canvas = document.createElement("canvas");
    this.stream = null;
    this.stopped = false;
    this.taken = [];
  }

  // `first` is done with the camera before the first photo; no photo is taken if it resolves to false.
  async take(wanted, first = async () => true) {
    await this.open();
    const photos = [];
    this.taken = [];
    try {
      if (!(await first())) return [];
      for (const pose of wanted) {
        const photo = await this.untilGood(pose, photos.length);
        if (!photo) return [];
        photos.push(photo);
        this.tell("good", photos.length);
        if (pose === "any" && photos.length < wanted.length) await pause(CALM_MS);
      }
      return photos;
    } finally {
      this.close();
    }
  }

  async untilGood(pose, done) {
    while (!this.stopped) {
      const frame = await this.frame();
      const advice = frame ? await this.look(frame, pose) : "look-at";
      if (this.stopped) return null;
      if (advice === "good" && this.isNew()) return frame;
      this.tell(advice === "good" ? "look-at" : advice, done);
      await pause(PAUSE_MS);
    }
    return null;
  }

  async open() {
    if (!navigator.mediaDevices?.getUserMedia) throw new CameraError("nocamera");
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 960 } }, audio: false,
      });
    } catch (error) {
      throw new CameraError(error.name === "NotAllowedError" ? "denied" : "nocamera");
    }
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  async frame() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width) return null;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.getContext("2d").drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    return new Promise((resolve) => this.canvas.toBlob(resolve, "image/jpeg", QUALITY));
  }

  // Whether the newest frame is another picture than those that were taken. Two frames of a camera never are the same,
  // unless the camera hangs.
  isNew() {
    const middle = this.canvas.getContext("2d").getImageData(
      (this.canvas.width - SAMPLE) >> 1, (this.canvas.height - SAMPLE) >> 1, SAMPLE, SAMPLE).data;
    if (this.taken.some((one) => one.every((value, at) => value === middle[at]))) return false;
    this.taken.push(middle);
    return true;
  }

  stop() {
    this.stopped = true;
    this.close();
  }

  close() {
    for (const track of this.stream?.getTracks() || []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
    this.canvas.width = this.canvas.height = 0;
    this.taken = [];
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
