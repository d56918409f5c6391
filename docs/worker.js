// Browsers start no worker from a page on the disk. The search needs one: there its script runs in a
// hidden frame, and messages go to and fro as they would.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      const start = () => {
        const frame = document.createElement("iframe");
        frame.hidden = true;
        document.body.append(frame);
        this.inside = frame.contentWindow;
        this.inside.postMessage = (data) => {
          const event = new MessageEvent("message", { data });
          this.dispatchEvent(event);
          if (this.onmessage) this.onmessage(event);
        };
        this.inside.importScripts = (...urls) =>
          urls.reduce((before, next) => before.then(() => this.load(next)), Promise.resolve());
        this.load(url).then(() => {
          this.ready = true;
          this.waiting.forEach((data) => this.postMessage(data));
        });
      };
      if (document.body) start();
      else addEventListener("DOMContentLoaded", start);
    }

    load(url) {
      return new Promise((resolve, reject) => {
        const script = this.inside.document.createElement("script");
        script.src = new URL(url, location.href);
        script.onload = resolve;
        script.onerror = reject;
        this.inside.document.body.append(script);
      });
    }

    postMessage(data) {
      if (!this.ready) return void this.waiting.push(data);
      this.inside.dispatchEvent(new this.inside.MessageEvent("message", { data }));
    }

    terminate() {
      this.inside.frameElement.remove();
    }
  };
}
