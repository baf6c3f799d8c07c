// One Plotly figure, drawn anew in place when Python sends another. plotly.js is a model of its own, that all figures
// of a page share: it comes from Python once, not from another computer and not with every figure.

const CONFIG = { displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };

async function load(model) {
  const source = (await sent(model, "library")).get("value");
  const module = { exports: {} };
  new Function("module", "exports", source)(module, module.exports);
  return module.exports;
}

async function library(model) {
  globalThis.advantageLabPlotly ??= load(model);
  try {
    return await globalThis.advantageLabPlotly;
  } catch (error) {
    delete globalThis.advantageLabPlotly;
    throw error;
  }
}

async function render({ model, el }) {
  const host = document.createElement("div");
  host.style.width = "100%";
  el.appendChild(host);
  const [Plotly, figure] = [await library(model), await sent(model, "figure")];
  const draw = async () => {
    const { data, layout, frames } = figure.get("value");
    await Plotly.react(host, data, layout, CONFIG);
    await Plotly.deleteFrames(host); // react leaves those of the figure before
    if (frames?.length) await Plotly.addFrames(host, frames);
  };
  figure.on("change:value", draw);
  await draw();
  const observer = new ResizeObserver(() => host.offsetWidth && Plotly.Plots.resize(host));
  observer.observe(host);
  return () => {
    figure.off("change:value", draw);
    observer.disconnect();
    Plotly.purge(host);
  };
}

export default { render };
