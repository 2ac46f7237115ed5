// Controls of one thing, made from its control form. What is shown is the state that was read back; what somebody is
// about to send stands beside it until it is sent. Switches send when pressed, sliders when let go, all else by "Set".

import { duration, localMoment, xsdDuration, zonedMoment } from "hub-dashboard/words.js";

const KEY_PAUSE_MS = 800; // a slider moved by keys is let go when no key came for so long

const INPUTS = { int: "number", long: "number", numeric: "number", time: "time", date: "date", dateTime: "datetime-local" };

// [what the form says → what the input takes, and back]; null where it is no such value
const CONVERT = {
  dateTime: [localMoment, zonedMoment],
  duration: [duration, xsdDuration],
  time: [(text) => text.replace(/\..*|Z$|[+-]\d\d:\d\d$/g, ""), (text) => (text.length === 5 ? text + ":00" : text)],
  boolean: [(text) => (text === "1" ? "true" : text === "0" ? "false" : text), (text) => text],
};

export const Control = {
  props: ["control", "state", "waiting", "error", "off", "base"],
  emits: ["set"],
  data() {
    return { draft: "", edited: false, wrong: "", timer: null, pointer: false };
  },
  created() {
    this.draft = this.shown;
  },
  beforeUnmount() {
    clearTimeout(this.timer);
  },
  watch: {
    shown(now) {
      if (!this.edited) this.draft = now;
    },
    waiting(now) {
      if (now) return;
      this.edited = false; // answered: the true state is shown, whatever was asked for
      this.draft = this.shown;
    },
  },
  computed: {
    kind() {
      const { type, options, min, max } = this.control;
      if (type === "boolean") return "switch";
      if (options.length) return "select";
      if (type === "color") return "colour";
      const limits = [min, max].map(Number);
      if (INPUTS[type] === "number" && min !== "" && max !== "" && limits.every(Number.isFinite)) return "slider";
      return INPUTS[type] || "text";
    },
    shown() {
      return (CONVERT[this.control.type] || [(text) => text])[0](this.state);
    },
    step() {
      if (this.control.type !== "numeric") return 1;
      const range = Number(this.control.max) - Number(this.control.min);
      return this.kind === "slider" ? Math.pow(10, Math.floor(Math.log10(range / 100 || 0.01))) : "any";
    },
    percent() {
      const { min, max } = this.control;
      return `${Math.max(0, Math.min(100, ((Number(this.draft) - min) / (max - min)) * 100))}%`;
    },
    disabled() {
      return this.off || this.waiting;
    },
    said() {
      return this.wrong || this.error;
    },
    range() {
      const { min, max } = this.control;
      return min !== "" && max !== "" ? `${min} to ${max}` : min !== "" ? `at least ${min}` : max !== "" ? `at most ${max}` : "";
    },
    swatch() {
      return /^[0-9a-fA-F]{6}/.test(this.draft) ? "#" + this.draft.slice(0, 6) : "#000000";
    },
  },
  methods: {
    edit(value) {
      this.draft = value;
      this.edited = true;
      this.wrong = "";
    },
    pick(value) {
      this.edit(value.slice(1) + this.draft.slice(6, 8));
    },
    undo() {
      clearTimeout(this.timer);
      this.edited = false;
      this.wrong = "";
      this.draft = this.shown;
    },
    send(value) {
      clearTimeout(this.timer);
      if (this.disabled) return;
      const text = String(value);
      const converted = this.control.type in CONVERT ? (text === "" ? null : CONVERT[this.control.type][1](text)) : text;
      if (converted === null || (text === "" && this.kind !== "text")) {
        this.wrong = this.control.type === "duration" ? "Write a duration like 1h 5m 30s." : "Fill this in first.";
        return;
      }
      this.wrong = "";
      this.$emit("set", converted);
    },
    flip() {
      this.send(this.shown === "true" ? "false" : "true");
    },
    released() {
      if (!this.edited) return;
      if (this.pointer) return this.send(this.draft);
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.send(this.draft), KEY_PAUSE_MS);
    },
  },
  template: `
    <div class="control" :class="[kind, { waiting }]" role="group" :aria-busy="waiting">
      <label :for="base" :id="base + 'l'"><bdi>{{ control.label }}</bdi></label>
      <div class="input">
        <button v-if="kind === 'switch'" :id="base" type="button" role="switch" :aria-checked="shown === 'true' ? 'true' : 'false'"
          :aria-labelledby="base + 'l'" :aria-describedby="base + 'h ' + base + 'e'" :aria-disabled="disabled" @click="flip">
          <span class="knob" aria-hidden="true"></span></button>
        <span v-if="kind === 'switch'" class="now" aria-hidden="true">{{ shown === "true" ? "on" : shown === "false" ? "off" : "not known" }}</span>

        <template v-else-if="kind === 'slider'">
          <input :id="base" type="range" :min="control.min" :max="control.max" :step="step" :value="draft" :disabled="off" :style="{ '--at': percent }"
            :aria-describedby="base + 'h ' + base + 'e'" @pointerdown="pointer = true" @keydown="pointer = false"
            @input="edit($event.target.value)" @change="released"/>
          <input type="number" :min="control.min" :max="control.max" step="any" :value="draft" :disabled="off"
            :aria-labelledby="base + 'l'" :aria-describedby="base + 'h ' + base + 'e'"
            @input="edit($event.target.value)" @keydown.enter="send(draft)" @keydown.esc="undo"/>
        </template>

        <select v-else-if="kind === 'select'" :id="base" :value="draft" :disabled="off" :aria-describedby="base + 'h ' + base + 'e'"
          @change="edit($event.target.value)" @keydown.esc="undo">
          <option v-if="!control.options.some((option) => option[0] === draft)" :value="draft">{{ draft || "not known" }}</option>
          <option v-for="option in control.options" :value="option[0]">{{ option[1] }}</option>
        </select>

        <template v-else-if="kind === 'colour'">
          <input :id="base" type="color" :value="swatch" :disabled="off" :aria-describedby="base + 'h ' + base + 'e'" @input="pick($event.target.value)"/>
          <input type="text" :value="draft" maxlength="8" spellcheck="false" :disabled="off" :aria-labelledby="base + 'l'"
            @input="edit($event.target.value)" @keydown.enter="send(draft)" @keydown.esc="undo"/>
        </template>

        <input v-else :id="base" :type="kind" :value="draft" :min="control.min || null" :max="control.max || null" step="any"
          :disabled="off" :aria-describedby="base + 'h ' + base + 'e'" maxlength="2000" autocomplete="off"
          @input="edit($event.target.value)" @keydown.enter="send(draft)" @keydown.esc="undo"/>

        <template v-if="kind !== 'switch' && edited && !waiting">
          <button type="button" class="main small" @click="send(draft)">Set<span class="unseen"> {{ control.label }}</span></button>
          <button type="button" class="small" @click="undo">Undo<span class="unseen"> {{ control.label }}</span></button>
        </template>
      </div>
      <p :id="base + 'h'" class="help"><bdi>{{ control.help && control.help !== control.label ? control.help : range }}</bdi></p>
      <p class="asked" role="status">{{ waiting ? "sent, waiting for the hub …" : "" }}</p>
      <p :id="base + 'e'" class="refused" role="alert"><bdi>{{ said }}</bdi></p>
    </div>`,
};

export const Controls = {
  components: { Control },
  props: ["thing", "form", "off", "base"],
  emits: ["set", "again"],
  template: `
    <div class="controls">
      <p v-if="!form" role="status" class="asked">Asking for the controls …</p>
      <p v-else-if="form.error" role="alert" class="refused"><bdi>{{ form.error }}</bdi>
        <button type="button" class="small" @click="$emit('again')">Ask again</button></p>
      <p v-else-if="!form.controls.length" class="asked">It offers no controls to this dashboard.</p>
      <Control v-else v-for="(control, i) in form.controls" :key="control.name" :control="control" :off="off" :base="base + '-' + i"
        :state="form.states[control.name]" :waiting="!!form.waiting[control.name]" :error="form.errors[control.name] || ''"
        @set="(value) => $emit('set', control.name, value)"/>
    </div>`,
};
