// The page: what the server told, kept here, so that it has to tell only what is new. Methods named in wall.py are
// called by the server; everything else is the browser's own: ages, the theme, what a lost connection looks like.

import { Chart, loadCharts } from "hub-dashboard/chart.js";
import { Controls } from "hub-dashboard/control.js";
import { Icon, Tile } from "hub-dashboard/tile.js";
import { age, moment } from "hub-dashboard/words.js";

const TICK_MS = 1000;
const REST_MS = 3000; // from then on the library for charts is fetched; who is faster waits for it
const OPEN_AT_FIRST = 8; // things with controls; with more of them, one opens what one wants
const THEMES = ["auto", "light", "dark"];
const LIVES = { connecting: "stale", online: "live", "not there": "gone", refused: "lock" };

export default {
  components: { Chart, Controls, Icon, Tile },
  props: ["model", "title", "visitor", "control", "prefix"],
  emits: ["chart", "form", "set"],
  data() {
    return {
      hubs: [],
      trouble: "",
      tiles: {},
      forms: {},
      opened: {},
      charted: null,
      lost: null,
      theme: document.documentElement.dataset.theme,
      LIVES,
    };
  },
  computed: {
    alarms() {
      return this.hubs.flatMap((hub) =>
        hub.things.flatMap((thing) =>
          thing.tiles
            .map((id) => this.tiles[id])
            .filter((tile) => tile.a)
            .map((tile) => ({ id: tile.id, field: tile.f, where: `${thing.label}, ${hub.title}`, text: tile.a })),
        ),
      );
    },
    quiet() {
      return !this.hubs.length;
    },
  },
  watch: {
    alarms(now) {
      document.title = now.length ? `(${now.length}) ${this.title}` : this.title;
    },
  },
  created() {
    this.ahead = -Infinity; // of the server's clock before ours, in seconds
    this.news({ ...JSON.parse(JSON.stringify(this.model)), layout: this.model });
    const controllable = this.hubs.flatMap((hub) => hub.things.filter((thing) => thing.control).map((thing) => [hub, thing]));
    if (this.control && controllable.length <= OPEN_AT_FIRST) controllable.forEach(([hub, thing]) => (this.opened[this.at(hub, thing)] = true));
  },
  mounted() {
    if (this.alarms.length) document.title = `(${this.alarms.length}) ${this.title}`;
    this.timer = setInterval(this.tick, TICK_MS);
    this.watchLink();
    for (const hub of this.hubs) for (const thing of hub.things) if (this.opened[this.at(hub, thing)]) this.ask(hub, thing);
    setTimeout(loadCharts, REST_MS);
  },
  methods: {
    // ---------------------------------------------------------------- called by the server

    news(news) {
      this.ahead = Math.max(this.ahead, news.now - Date.now() / 1000);
      for (const [id, change] of news.tiles) {
        const tile = (this.tiles[id] ??= { id, age: "", when: "", g: "", r: "", place: "" });
        Object.assign(tile, change);
        this.grow(this.tiles[id]);
        this.follow(this.tiles[id], change);
      }
      if (news.layout) this.arrange(news.layout);
    },
    series(id, span, series) {
      if (this.charted === id) this.$refs.chart?.answer(span, series);
    },
    form(hub, thing, form) {
      const states = Object.fromEntries((form.controls || []).map((control) => [control.name, control.text]));
      this.forms[hub + "\n" + thing] = { ...form, states, waiting: {}, errors: {} };
    },
    answer(hub, thing, name, { state, error }) {
      const form = this.forms[hub + "\n" + thing];
      if (!form) return;
      if (state) form.states[name] = state;
      form.errors[name] = error || "";
      form.waiting[name] = false;
    },

    // ---------------------------------------------------------------- our own

    arrange(layout) {
      this.trouble = layout.trouble;
      this.hubs = layout.hubs;
      for (const hub of this.hubs)
        for (const thing of hub.things)
          for (const id of thing.tiles) {
            this.tiles[id].place = `${thing.label}, ${hub.title}`;
            this.tiles[id].home = this.at(hub, thing);
          }
    },
    // A thing that could not be read yet has a tile without a field, for its trouble
    fields(thing) {
      return thing.tiles.filter((id) => this.tiles[id].f);
    },
    troubles(thing) {
      return [...new Set(thing.tiles.map((id) => this.tiles[id].t).filter(Boolean))];
    },
    at: (hub, thing) => hub.id + "\n" + thing.name,
    follow(tile, change) {
      // a parameter's state is also told by the field of its name: somebody else may have set it
      const form = this.forms[tile.home];
      if (form && "n" in change && tile.f in form.states && !form.waiting[tile.f])
        form.states[tile.f] = tile.b ? (tile.n ? "true" : "false") : tile.n !== null ? String(tile.n) : form.states[tile.f];
    },
    grow(tile) {
      const words = tile.m === null ? "" : age(Date.now() / 1000 + this.ahead - tile.m);
      if (tile.age !== words) tile.age = words;
      if (tile.told !== tile.m) {
        tile.told = tile.m;
        tile.when = tile.m === null ? "" : moment(tile.m);
      }
    },
    tick() {
      for (const id in this.tiles) this.grow(this.tiles[id]);
    },
    watchLink() {
      if (!window.socket) return setTimeout(this.watchLink, 20);
      window.socket.on("disconnect", () => (this.lost ??= Date.now() / 1000));
      window.socket.on("connect", () => (this.lost = null));
    },
    ask(hub, thing) {
      delete this.forms[this.at(hub, thing)];
      this.$emit("form", { hub: hub.id, thing: thing.name });
    },
    toggle(hub, thing) {
      const at = this.at(hub, thing);
      this.opened[at] = !this.opened[at];
      if (this.opened[at]) this.ask(hub, thing);
    },
    send(hub, thing, name, value) {
      const form = this.forms[this.at(hub, thing)];
      if (this.lost || form.waiting[name]) return;
      form.waiting[name] = true;
      form.errors[name] = "";
      this.$emit("set", { hub: hub.id, thing: thing.name, name, value });
    },
    dress(theme) {
      this.theme = document.documentElement.dataset.theme = theme;
      localStorage.setItem("hub-theme", theme);
    },
    since: moment,
    THEMES: () => THEMES,
  },
  template: `
    <div id="wall" :class="{ cut: lost }">
      <Teleport to="#top">
        <h1>{{ title }}</h1>
        <nav aria-label="Hubs"><ul class="lives">
          <li v-for="(hub, i) in hubs" :key="hub.id"><a :href="'#hub-' + i" :class="hub.life.replace(' ', '-')"><Icon :name="LIVES[hub.life]"/><bdi>{{ hub.title }}</bdi> <span>{{ hub.life }}</span></a></li>
        </ul></nav>
        <fieldset class="choice"><legend class="unseen">Theme</legend>
          <label v-for="name in THEMES()"><input type="radio" name="theme" :value="name" :checked="theme === name" @change="dress(name)"/><span>{{ name }}</span></label>
        </fieldset>
        <form v-if="visitor" method="post" :action="prefix + '/logout'"><span class="who"><bdi>{{ visitor }}</bdi></span> <button type="submit" class="plain">Log out</button></form>
      </Teleport>

      <div id="things" tabindex="-1">
        <div role="alert"><p v-if="lost" class="banner cut"><Icon name="gone"/>The connection to the dashboard was lost at {{ since(lost) }}. What is shown is what was known then; it connects again by itself.</p></div>
        <div role="status"><p v-if="trouble" class="banner"><Icon name="gone"/><bdi>{{ trouble }}</bdi></p></div>
        <section class="alarms" aria-label="Alarms" aria-live="polite"><ul v-if="alarms.length">
          <li v-for="alarm in alarms" :key="alarm.id"><Icon name="alarm"/><span><b><bdi>{{ alarm.field }}</bdi></b> <bdi>{{ alarm.text }}</bdi> <span class="where">(<bdi>{{ alarm.where }}</bdi>)</span></span></li>
        </ul></section>
        <p v-if="quiet" class="empty">No hubs are known yet.</p>

        <section v-for="(hub, i) in hubs" :key="hub.id" class="hub" :id="'hub-' + i" :aria-labelledby="'hub-' + i + '-name'">
          <header><h2 :id="'hub-' + i + '-name'"><bdi>{{ hub.title }}</bdi></h2><bdi v-if="hub.jid !== hub.title" class="jid">{{ hub.jid }}</bdi>
            <p v-if="hub.text && hub.text !== trouble" class="wrong" :class="hub.life.replace(' ', '-')"><Icon :name="LIVES[hub.life]"/><bdi>{{ hub.text }}</bdi></p></header>
          <div class="things"><section v-for="(thing, j) in hub.things" :key="thing.name" class="thing" :aria-labelledby="'thing-' + i + '-' + j">
            <header><h3 :id="'thing-' + i + '-' + j"><bdi>{{ thing.label }}</bdi></h3>
              <button v-if="control && thing.control" type="button" class="plain small" :aria-expanded="opened[at(hub, thing)] ? 'true' : 'false'" @click="toggle(hub, thing)">Controls<span class="unseen"> of {{ thing.label }}</span></button></header>
            <p v-for="words in troubles(thing)" class="wrong"><Icon name="alarm"/><bdi>{{ words }}</bdi></p>
            <ul v-if="fields(thing).length" class="tiles"><Tile v-for="id in fields(thing)" :key="id" :tile="tiles[id]" :cut="!!lost" @open="charted = id"/></ul>
            <p v-else class="empty"><Icon name="never"/> no values yet</p>
            <Controls v-if="control && opened[at(hub, thing)]" :thing="thing" :form="forms[at(hub, thing)]" :off="!!lost || hub.life !== 'online'" :base="'c-' + i + '-' + j"
              @set="(name, value) => send(hub, thing, name, value)" @again="ask(hub, thing)"/>
          </section></div>
        </section>
      </div>
      <Chart v-if="charted !== null" ref="chart" :key="charted" :tile="tiles[charted]" :theme="theme" :cut="!!lost"
        @ask="(span, points) => $emit('chart', { tile: charted, span, points })" @close="charted = null"/>
    </div>`,
};
