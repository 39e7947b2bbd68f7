// Runs in the page. Every explorer is an element of class nodelib-live that holds one img.nodelib-picture; a picture is
// known by its src, the PNG itself, and by a number here, since that is long. `watch` notes the frame in which it last
// changed; a key press starts its clock. Nothing asks for frames meanwhile: on a page as long as a chapter each costs
// milliseconds.
window.nodelib = {
  watch(explorer) {
    const w = { shown: null, seen: [], changed: 0, pressed: 0 };
    const note = () => {
      const img = explorer.querySelector("img.nodelib-picture");
      if (img && img.complete && img.naturalWidth > 0 && img.src !== w.shown) {
        w.shown = img.src;
        w.changed = performance.now();
      }
    };
    note();
    explorer.addEventListener("load", () => requestAnimationFrame(note), true);
    explorer.addEventListener("keydown", () => { w.pressed = performance.now(); }, true);
    explorer.watch = w;
  },
  // Resolves once nothing was added to the notebook for `quiet` ms: outputs are drawn after their cells got numbers.
  still(quiet) {
    return new Promise((resolve) => {
      let last = performance.now(), looked = last;
      const observer = new MutationObserver(() => { last = performance.now(); });
      observer.observe(document.querySelector(".jp-Notebook"), { childList: true, subtree: true });
      const look = () => {
        const now = performance.now();
        if (now - looked > 100) last = now; // this look came late: the page is at work
        looked = now;
        if (now - last < quiet) return setTimeout(look, 20);
        observer.disconnect();
        resolve();
      };
      look();
    });
  },
  // The number of the picture shown.
  picture(explorer) {
    const { shown, seen } = explorer.watch;
    return seen.includes(shown) ? seen.indexOf(shown) : seen.push(shown) - 1;
  },
  // Starts the clock for what is not a key press; returns the picture shown.
  start(explorer) {
    explorer.watch.pressed = performance.now();
    return window.nodelib.picture(explorer);
  },
  // The errors shown, the picture's alternative text, and the caption or null.
  texts(explorer) {
    const errors = [...explorer.querySelectorAll(".nodelib-error summary")].map((e) => e.textContent);
    const caption = explorer.querySelector(".nodelib-caption")?.textContent ?? null;
    return [errors, explorer.querySelector("img.nodelib-picture").alt, caption];
  },
  // Resolves to true once the picture differs from `before` or an error shows, to false after `patience` ms.
  differs(explorer, before, patience) {
    const src = explorer.watch.seen[before];
    return new Promise((resolve) => {
      const end = performance.now() + patience;
      const look = () => {
        if (explorer.watch.shown !== src || explorer.querySelector(".nodelib-error")) resolve(true);
        else if (performance.now() > end) resolve(false);
        else setTimeout(look, 10);
      };
      look();
    });
  },
  // Resolves to the ms from the last key press to the last change, once nothing has changed for `quiet` ms.
  rest(explorer, quiet) {
    return new Promise((resolve) => {
      const w = explorer.watch;
      const look = () => {
        const since = performance.now() - Math.max(w.changed, w.pressed);
        if (since > quiet) resolve(w.changed - w.pressed);
        else setTimeout(look, quiet - since + 1);
      };
      look();
    });
  },
};
