// One field: its value, how fresh that is, and its last while as a line. All text is put in as text, never as markup.

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

// Icons are the shape that says without colour what the words beside them say.
export const ICONS = {
  live: "M8 4.500a3.500 3.500 0 1 1 0 7a3.500 3.500 0 0 1 0-7z",
  stale: "M8 1.500a6.500 6.500 0 1 0 0 13a6.500 6.500 0 0 0 0-13zm0 1.500a5 5 0 1 1 0 10a5 5 0 0 1 0-10zm-.75 1.750v3.600l2.700 1.600.75-1.250-1.950-1.150v-2.800z",
  gone: "M2.600 1.500l11.900 11.900-1.100 1.100-11.900-11.900zM8 3.400c2.200 0 4.300.85 5.900 2.400l-1.100 1.100a6.800 6.800 0 0 0-5.100-1.950l-1.400-1.400a8.300 8.300 0 0 1 1.700-.15zM3.700 4.900l1.100 1.100a6.800 6.800 0 0 0-1.600.95l-1.100-1.100a8.300 8.300 0 0 1 1.600-.95zm4.300 5.300a1.700 1.700 0 1 1 0 3.400a1.700 1.700 0 0 1 0-3.400zM6.900 8l1.500 1.500a3.600 3.600 0 0 0-2.700 1L4.600 9.400A5.100 5.100 0 0 1 6.900 8z",
  never: "M3 7.200h10v1.600H3z",
  alarm: "M8 1.200L15.400 14H.6zM7.200 6v4h1.600V6zm0 5v1.600h1.600V11z",
  lock: "M5 7V5a3 3 0 0 1 6 0v2h1v7H4V7zm1.500 0h3V5a1.500 1.500 0 0 0-3 0z",
};

export const Icon = {
  props: ["name"],
  data: () => ({ ICONS }),
  template: `<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path :d="ICONS[name]"/></svg>`,
};

// Pairs of x and y as an SVG path; a blank is a gap. What is on or off goes in steps.
export function line(trend, steps) {
  let path = "";
  for (const part of trend.split(" "))
    for (let i = 0; i + 1 < part.length; i += 2) {
      const x = ALPHABET.indexOf(part[i]);
      const y = 63 - ALPHABET.indexOf(part[i + 1]);
      path += i === 0 ? `M${x} ${y}` : steps ? `H${x}V${y}` : `L${x} ${y}`;
      if (part.length === 2) path += "h0"; // a point by itself
    }
  return path;
}

const SAID = { stale: "stale", gone: "hub not there", never: "no value yet", cut: "connection lost" };

export const Tile = {
  components: { Icon },
  props: ["tile", "cut"],
  emits: ["open"],
  computed: {
    state() {
      return this.cut && this.tile.s === "live" ? "cut" : this.tile.s;
    },
    path() {
      return this.tile.g ? line(this.tile.g, this.tile.b) : "";
    },
    said() {
      return SAID[this.state];
    },
  },
  template: `
    <li class="tile" :class="[state, { alarmed: tile.a }]">
      <h4><button type="button" :aria-label="tile.f + ': show its chart'" @click="$emit('open')"><bdi>{{ tile.f }}</bdi></button></h4>
      <p class="value"><bdi :class="{ long: tile.v.length > 12 }">{{ tile.v || "–" }}</bdi>{{ " " }}<bdi v-if="tile.u && tile.v" class="unit">{{ tile.u }}</bdi></p>
      <svg v-if="path" class="trend" viewBox="-1 -3 65 69" preserveAspectRatio="none" role="img" :aria-label="'Lately ' + tile.r">
        <title>Lately {{ tile.r }}</title><path :d="path" vector-effect="non-scaling-stroke"/>
      </svg>
      <div v-else class="trend"></div>
      <p class="state" :title="tile.when"><Icon :name="state === 'cut' ? 'gone' : state"/>
        <span v-if="said">{{ said }}</span><span v-if="tile.age" class="age">{{ said ? "· " : "" }}{{ tile.age }}</span></p>
      <p v-if="tile.a" class="alarm"><Icon name="alarm"/><bdi>{{ tile.a }}</bdi></p>
      <p v-if="tile.q" class="quality"><bdi>{{ tile.q }}</bdi></p>
    </li>`,
};
