// Runs in the page. Every explorer is an element of class nodelib-live that holds one img.nodelib-picture; a picture is
// known by its src, the PNG itself. `watch` notes, frame by frame, when it last changed; a key press starts its clock.
window.nodelib = {
  watch(explorer) {
    const w = { shown: null, changed: 0, pressed: 0 };
    const frame = () => {
      const img = explorer.querySelector("img.nodelib-picture");
      if (img && img.complete && img.naturalWidth > 0 && img.src !== w.shown) {
        w.shown = img.src;
        w.changed = performance.now();
      }
      requestAnimationFrame(frame);
    };
    frame();
    explorer.addEventListener("keydown", () => { w.pressed = performance.now(); }, true);
    explorer.watch = w;
  },
  // Starts the clock for what is not a key press; returns the picture shown.
  start(explorer) {
    explorer.watch.pressed = performance.now();
    return explorer.watch.shown;
  },
  // Resolves to true once the picture differs from `before` or an error shows, to false after `patience` ms.
  differs(explorer, before, patience) {
    return new Promise((resolve) => {
      const end = performance.now() + patience;
      const look = () => {
        if (explorer.watch.shown !== before || explorer.querySelector(".nodelib-error")) resolve(true);
        else if (performance.now() > end) resolve(false);
        else requestAnimationFrame(look);
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
        else requestAnimationFrame(look);
      };
      look();
    });
  },
};
