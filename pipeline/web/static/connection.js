// The connection to the run: tells what comes, notices silence, and comes back by itself.

const SILENCE_MS = 3000; // The run reports four times a second.
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5000;

export class Connection {
  // The callbacks of `on`: status(document), picture(header, jpeg), state("connecting" | "connected" | "lost").
  constructor(on) {
    this.on = on;
    this.waitMs = FIRST_WAIT_MS;
    this.watch = null;
    this.heardMs = performance.now();
    this.open();
    setInterval(() => this.checkSilence(), 500);
    // A telephone that wakes up need not wait for its turn.
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.retryNow());
  }

  open() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.heardMs = performance.now();
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.send({ watch: this.watch });
    socket.onmessage = (event) => socket === this.socket && this.receive(event.data);
    socket.onclose = () => socket === this.socket && this.lose();
  }

  receive(data) {
    this.heardMs = performance.now();
    if (typeof data === "string") {
      const { status } = JSON.parse(data);
      this.waitMs = FIRST_WAIT_MS;
      this.on.state("connected");
      this.on.status(status);
      return;
    }
    const length = new DataView(data).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    this.on.picture(header, new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
  }

  // A connection can be dead without having ended: a tunnel, a frozen process.
  checkSilence() {
    if (this.timer === undefined && performance.now() - this.heardMs > SILENCE_MS) this.lose();
  }

  lose() {
    const socket = this.socket;
    this.socket = undefined;
    socket?.close();
    this.on.state("lost");
    if (this.timer === undefined) {
      this.timer = setTimeout(() => this.open(), this.waitMs * (0.75 + Math.random() / 2));
      this.waitMs = Math.min(LONGEST_WAIT_MS, this.waitMs * 1.7);
    }
  }

  retryNow() {
    if (this.timer !== undefined) this.open();
  }

  // Which cameras' pictures are wanted: their names, or null for all.
  setWatch(names) {
    this.watch = names;
    this.send({ watch: names });
  }

  drawn(camera) {
    this.send({ drawn: camera });
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}
