// A field over an hour, a day or a week, in a dialog: the mean as a line, lowest to highest as a band, gaps as gaps;
// the same as a table. Times are those of the visitor's own zone. Drawn by ECharts, which NiceGUI brings.

import { moment, number } from "hub-dashboard/words.js";

const SPANS = { HOUR: ["Hour", 3600], DAY: ["Day", 86400], WEEK: ["Week", 604800] };
const MIN_POINTS = 200;
const MAX_POINTS = 1200;
const LIVE_MS = 500; // live values are drawn at most so often

// Its megabyte is fetched when a page has come to rest, not when somebody waits for a chart.
let library = null;
export const loadCharts = () =>
  (library ??= import("nicegui-echart").then(
    (module) => module.echarts,
    () => (library = null), // the connection was lost: the next one who wants a chart tries again
  ));

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function tooltip(rows, unit) {
  const box = document.createElement("div"); // text goes in as text
  const row = rows[rows.length - 1];
  box.append(moment(row[0]), document.createElement("br"));
  const mean = document.createElement("b");
  mean.textContent = `${number(row[1])} ${unit}`;
  box.append(mean);
  if (row[2] !== row[3]) box.append(` (${number(row[2])} to ${number(row[3])})`);
  return box;
}

export const Chart = {
  props: ["tile", "theme", "cut"],
  emits: ["ask", "close"],
  data: () => ({ span: "DAY", table: false, note: "", said: "loading …", rows: [], unit: "", SPANS }),
  computed: {
    summary() {
      const drawn = this.rows.filter((row) => row[1] !== null);
      if (!drawn.length) return "No values in this time.";
      const low = Math.min(...drawn.map((row) => row[2]));
      const high = Math.max(...drawn.map((row) => row[3]));
      const gaps = this.rows.filter((row, i) => row[1] === null && i && this.rows[i - 1][1] !== null).length;
      return (
        `Lowest ${number(low)}, highest ${number(high)}, last ${number(drawn[drawn.length - 1][1])} ${this.unit}` +
        (gaps ? `; ${gaps} ${gaps === 1 ? "gap" : "gaps"}.` : ".")
      );
    },
    legend() {
      return this.rows.some((row) => row[2] !== row[3]) ? "Line: mean. Band: lowest to highest." : "";
    },
  },
  watch: {
    theme() {
      this.draw();
    },
    "tile.m"() {
      this.append();
    },
  },
  async mounted() {
    this.$refs.dialog.showModal();
    this.observer = new ResizeObserver(() => this.chart?.resize());
    this.observer.observe(this.$refs.canvas);
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.addEventListener("change", this.draw);
    this.ask();
    const echarts = await loadCharts();
    if (!this.$refs.canvas) return; // closed meanwhile
    if (!echarts) return (this.said = "The chart cannot be drawn without the dashboard; close it and try again.");
    this.chart = echarts.init(this.$refs.canvas, null, { renderer: "canvas" });
    this.chart.on("finished", () => {
      if (this.asked !== null && this.answered) this.$refs.dialog.dataset.drawn = this.span;
    });
    this.draw();
  },
  beforeUnmount() {
    clearTimeout(this.timer);
    this.observer.disconnect();
    this.dark.removeEventListener("change", this.draw);
    this.chart?.dispose();
  },
  methods: {
    ask() {
      this.answered = false;
      this.said = "loading …";
      delete this.$refs.dialog.dataset.drawn;
      const width = this.$refs.canvas.clientWidth;
      this.$emit("ask", this.span, Math.max(MIN_POINTS, Math.min(MAX_POINTS, width)));
    },
    choose(span) {
      this.span = span;
      this.ask();
    },
    answer(span, series) {
      if (span !== this.span) return; // of the span chosen before
      this.answered = true;
      this.said = series.gone ? "This field is not there any more." : "";
      const rows = [];
      let time = series.begin;
      (series.mean || []).forEach((mean, i) => {
        if (i) time += series.steps[i - 1];
        rows.push([time, mean, series.low[i], series.high[i]]);
      });
      this.rows = Object.freeze(rows);
      this.unit = series.unit || "";
      this.note = series.note || "";
      this.draw();
    },
    append() {
      const { m, n } = this.tile;
      if (!this.answered || n === null || (this.rows.length && this.rows[this.rows.length - 1][0] >= m)) return;
      const begin = m - SPANS[this.span][1];
      this.rows = Object.freeze([...this.rows.filter((row) => row[0] >= begin), [m, n, n, n]]);
      this.timer ??= setTimeout(() => {
        this.timer = null;
        this.draw();
      }, LIVE_MS);
    },
    draw() {
      if (!this.chart || !this.answered) return;
      const [ink, quiet, rule, accent] = ["--ink", "--quiet", "--rule", "--accent"].map(colour);
      const end = this.rows.length ? this.rows[this.rows.length - 1][0] * 1000 : Date.now();
      const at = (value) => this.rows.map((row) => [row[0] * 1000, value(row)]);
      const step = this.tile.b ? "end" : false;
      const plain = { type: "line", symbol: "none", animation: false, silent: true, step };
      const band = { ...plain, stack: "band", stackStrategy: "all", lineStyle: { opacity: 0 } };
      this.chart.setOption(
        {
          animation: false,
          textStyle: { fontFamily: "Roboto, system-ui, sans-serif", color: ink },
          grid: { left: 12, right: 16, top: 30, bottom: 8, containLabel: true },
          xAxis: {
            type: "time",
            min: end - SPANS[this.span][1] * 1000,
            max: end,
            axisLine: { lineStyle: { color: rule } },
            axisLabel: { color: quiet, hideOverlap: true },
          },
          yAxis: {
            type: "value",
            scale: true,
            name: this.unit,
            nameTextStyle: { color: quiet, align: "left" },
            axisLabel: { color: quiet },
            splitLine: { lineStyle: { color: rule } },
          },
          tooltip: {
            trigger: "axis",
            renderMode: "html",
            backgroundColor: colour("--card"),
            borderColor: rule,
            textStyle: { color: ink },
            formatter: (items) => tooltip([this.rows[items[0].dataIndex]], this.unit),
          },
          series: [
            { ...band, data: at((row) => row[2]) },
            { ...band, data: at((row) => (row[1] === null ? null : row[3] - row[2])), areaStyle: { color: accent, opacity: 0.22 } },
            { ...plain, silent: false, data: at((row) => row[1]), lineStyle: { color: accent, width: 1.8 }, itemStyle: { color: accent } },
          ],
        },
        { notMerge: true },
      );
    },
    time: moment,
    number,
  },
  template: `
    <dialog ref="dialog" class="chart" aria-labelledby="chart-title" @close="$emit('close')" @click.self="$refs.dialog.close()">
      <div class="sheet">
        <header>
          <h2 id="chart-title"><bdi>{{ tile.f }}</bdi> <small><bdi>{{ tile.place }}</bdi></small></h2>
          <button type="button" class="plain" @click="$refs.dialog.close()">Close</button>
        </header>
        <fieldset class="choice"><legend class="unseen">How long</legend>
          <label v-for="(words, name) in SPANS"><input type="radio" name="span" :value="name" :checked="span === name" @change="choose(name)"/><span>{{ words[0] }}</span></label>
        </fieldset>
        <div ref="canvas" class="canvas" role="img" :aria-label="tile.f + ': ' + summary"></div>
        <p class="summary" role="status">{{ said || summary }} <span class="quiet">{{ legend }}</span></p>
        <p v-if="note" class="note"><bdi>{{ note }}</bdi></p>
        <button type="button" class="small" :aria-expanded="table ? 'true' : 'false'" @click="table = !table">{{ table ? "Hide the table" : "Show as a table" }}</button>
        <div v-if="table" class="scroll" tabindex="0" role="region" aria-label="Values as a table">
          <table><thead><tr><th scope="col">Time</th><th scope="col">Mean</th><th scope="col">Lowest</th><th scope="col">Highest</th></tr></thead>
            <tbody><tr v-for="row in rows"><th scope="row">{{ time(row[0]) }}</th>
              <td v-if="row[1] === null" colspan="3">no values</td>
              <template v-else><td>{{ number(row[1]) }}</td><td>{{ number(row[2]) }}</td><td>{{ number(row[3]) }}</td></template></tr></tbody></table>
        </div>
      </div>
    </dialog>`,
};
