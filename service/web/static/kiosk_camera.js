// The camera of a kiosk: it is opened when a person asks, and closed after the answer. No frame is kept.

const LONGEST_SIDE_PX = 1280;
const QUALITY = 0.88;

export class Camera {
  constructor(video, canvas) {
    this.video = video;
    this.canvas = canvas;
    this.stream = null;
  }

  // Throws a DOMException if the person or the browser does not allow it, or if there is no camera.
  async open() {
    this.close();
    if (!navigator.mediaDevices) throw new DOMException("no camera without TLS", "NotAllowedError");
    const wanted = { facingMode: "user", width: { ideal: LONGEST_SIDE_PX }, height: { ideal: 720 } };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: wanted });
    this.close();
    this.stream = stream;
    this.video.srcObject = stream;
    await this.video.play();
  }

  get isOpen() {
    return this.stream !== null;
  }

  close() {
    for (const track of this.stream ? this.stream.getTracks() : []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
    this.canvas.width = this.canvas.height = 0;
  }

  // Returns a JPEG of what the screen shows, and of nothing beside it; null if there is no picture yet.
  frame() {
    return this.shown((canvas) => new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY)));
  }

  // Lets `use` have a canvas with what the screen shows, which is wiped then; null if there is no picture yet.
  async shown(use) {
    const { videoWidth, videoHeight, clientWidth, clientHeight } = this.video;
    if (!videoWidth || !clientHeight) return null;
    const shape = clientWidth / clientHeight;
    const width = Math.min(videoWidth, videoHeight * shape);
    const height = Math.min(videoHeight, videoWidth / shape);
    const scale = Math.min(1, LONGEST_SIDE_PX / Math.max(width, height));
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    const left = (videoWidth - width) / 2, top = (videoHeight - height) / 2;
    this.canvas.getContext("2d").drawImage(
      this.video, left, top, width, height, 0, 0, this.canvas.width, this.canvas.height);
    try {
      return await use(this.canvas);
    } finally {
      this.canvas.width = this.canvas.height = 0;
    }
  }
}
