// A policy as a map of where data goes: rows and plain words, nothing but what the policy says.
import { written, type Activity, type Policy, type Recipient } from "./policy";

export interface MapRow { signal: string; activity: Activity; recipients: Recipient[] }

/** True where one term of a taxonomy is the other, or above it. */
const above = (one: string, other: string) => one === other || other.startsWith(`${one}.`);
const meet = (one: string, other: string) => above(one, other) || above(other, one);

/** Who gets data for what an activity uses it for. */
export const recipientsOf = (activity: Activity, recipients: Recipient[]) => recipients.filter((r) => r.uses.some((use) => activity.data_uses.some((own) => meet(use, own))));

export const mapRows = (policy: Policy): MapRow[] =>
  policy.activity.flatMap((activity) => activity.signals.map((signal) => ({ signal, activity, recipients: recipientsOf(activity, policy.recipient) })));

/** A place that records are sent to, and whom the policy names there; `here` where it is this machine. */
export interface Peer { bridge: string; address: string; declared: Recipient[]; here: boolean }

/** Host and port of `host:port` or of a URL, the port of its scheme where it names none; none where a bare host stands for every port. */
function placeOf(text: string): { host: string; port?: number } {
  const [, scheme, rest = ""] = /^(?:([a-z]+):\/\/)?([^/?#]*)/i.exec(text) ?? [];
  const [, v6, name, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(rest) ?? [];
  const usual = { https: 443, http: 80, kafka: 9092 }[scheme?.toLowerCase() ?? ""];
  return { host: (v6 ?? name ?? rest).toLowerCase().replace(/\.$/, ""), port: port ? Number(port) : usual };
}

/** As the server decides it: it alone refuses, this tells. */
export function isAt(endpoint: string, address: string): boolean {
  const to = placeOf(address), own = placeOf(endpoint);
  const host = own.host.startsWith("*.") ? to.host.endsWith(own.host.slice(1)) && to.host.length > own.host.length - 1 : to.host === own.host;
  return host && (own.port === undefined || own.port === to.port);
}

/** Where bridges send records, address by address. */
export const peersOf = (bridges: { name: string; direction: "pull" | "push"; bootstrap: string[] }[], recipients: Recipient[]): Peer[] =>
  bridges.filter((bridge) => bridge.direction === "push").flatMap((bridge) => bridge.bootstrap.map((address) => ({
    bridge: bridge.name, address, here: /^(localhost|127\.[\d.]+|::1)$/.test(placeOf(address).host),
    declared: recipients.filter((r) => r.endpoints.some((endpoint) => isAt(endpoint, address))),
  })));

/** A signal in words: `stream:*` is every other topic. */
export function signalName(signal: string): string {
  if (signal === "stream:*") return "every other topic";
  if (signal.startsWith("stream:")) return `topic ${signal.slice("stream:".length)}`;
  return signal;
}

const bases: Record<string, string> = {
  "eu-gdpr:A6-1-a": "consent", "eu-gdpr:A6-1-b": "a contract", "eu-gdpr:A6-1-c": "a legal duty", "eu-gdpr:A6-1-d": "vital interests",
  "eu-gdpr:A6-1-e": "a public task", "eu-gdpr:A6-1-f": "legitimate interests",
};
export const basisWords = (basis: string) => bases[basis] ?? basis;

/** `dpv:ServiceOptimisation` reads "service optimisation". */
export const termWords = (term: string) => term.replace(/^[\w-]+:/, "").replace(/([a-z])([A-Z])/g, "$1 $2").replace(/_/g, " ").toLowerCase();

const units: Record<string, [one: string, many: string]> = { s: ["second", "seconds"], m: ["minute", "minutes"], h: ["hour", "hours"], d: ["day", "days"], w: ["week", "weeks"], y: ["year", "years"] };
/** "30d" reads "30 days"; what is no span stays as it is. */
export function spanWords(text: string): string {
  const [, n, unit] = /^(\d+)([smhdwy])$/.exec(text) ?? [];
  const words = unit && units[unit];
  return words ? `${n} ${n === "1" ? words[0] : words[1]}` : text;
}

export interface Deed { what: string; does: string; key: string }

const ips = (ip: Policy["collect"]["ip"]): string => {
  const derived = ip.derive.length ? `; kept in their place: ${ip.derive.join(", ")}` : "";
  if (ip.action === "drop") return `They are dropped${derived}.`;
  if (ip.action === "generalise") return `The first ${ip.v4} bits of IPv4 and ${ip.v6} bits of IPv6 stay, the rest becomes zero${derived}.`;
  if (ip.action === "vault") return `They leave the row for the vault${derived}.`;
  return `${ip.action}${derived}`;
};
const agents: Record<string, string> = { drop: "They are dropped.", family_only: "The browser's family and version stay.", keep: "They are kept as they came." };
const places: Record<string, string> = { drop: "Places are dropped.", country: "The country stays.", coarse: "A coarse place stays.", keep: "Places are kept as they came." };
const devices: Record<string, string> = { drop: "They are dropped.", pseudonym: "A code stands in their place.", keep: "They are kept as they came." };
const unknown: Record<string, string> = { scrub: "kept, and looked through by every rule", drop: "dropped" };
const modes: Record<string, string> = { opt_in: "nothing about a person without their yes", opt_out: "until they say no", implied: "taken as given" };
const scopes: Record<string, string> = { site: "of one site", project: "of one project" };
const does = (words: Record<string, string>, value: string) => words[value] ?? value;

/** What the gate does, by what it does it to, each with the key that says so. */
export function deeds(policy: Policy): Deed[] {
  const { collect, consent, identity, scrub } = policy;
  const out: Deed[] = [
    { what: "IP addresses", does: ips(collect.ip), key: "collect.ip" },
    { what: "Browsers' names", does: does(agents, collect.user_agent), key: "collect.user_agent" },
    { what: "Places", does: does(places, collect.location), key: "collect.location" },
    { what: "Device ids", does: does(devices, collect.device_ids), key: "collect.device_ids" },
    { what: "Who it is about", does: `${identity.keys.join(", ")} become codes ${does(scopes, identity.pseudonym.scope)}; ${identity.pseudonym.vault === "none" ? "what stood there is kept nowhere" : "what stood there is in the vault, under a key for each person"}.`, key: "identity.keys" },
    { what: "Unknown fields", does: `They are ${does(unknown, collect.unknown_fields.default ?? "drop")}.`, key: "collect.unknown_fields.default" },
  ];
  for (const [of, what] of Object.entries(collect.unknown_fields).sort()) {
    if (of !== "default") out.push({ what: `Unknown fields of ${of === "user_traits" ? "users" : of}`, does: `They are ${does(unknown, what)}.`, key: `collect.unknown_fields.${of}` });
  }
  for (const [signal, fields] of Object.entries(collect.fields)) out.push({ what: `Declared fields of ${signal}`, does: written(fields), key: `collect.fields.${signal}` });
  out.push({ what: "Completed from elsewhere", does: collect.enrichment.length ? `From ${written(collect.enrichment)}.` : "Nothing.", key: "collect.enrichment" });
  for (const [region, mode] of Object.entries(consent.mode)) {
    out.push({ what: region === "default" ? "Consent of browsers' users" : `Consent in ${region}`, does: `${mode.replace("_", " ")}: ${does(modes, mode)}.`, key: `consent.mode.${region}` });
  }
  const signals: [string, string, string[]][] = [["gpc", "Global Privacy Control", consent.signals.gpc], ["dnt", "Do Not Track", consent.signals.dnt]];
  const effects: Record<string, string> = { no_share: "nothing is shared", no_replay: "no visit is recorded", no_id: "no code of a person" };
  for (const [key, name, list] of signals) out.push({ what: name, does: list.length ? `With it ${list.map((one) => does(effects, one)).join(", ")}.` : "It is ignored.", key: `consent.signals.${key}` });
  const { min_age, below } = consent.children;
  out.push({ what: "Children", does: min_age ? `What is about somebody below ${min_age} is ${below === "keep" ? "kept" : below === "erase" ? "erased" : "dropped"}.` : "No age is asked for.", key: "consent.children" });
  for (const [topic, stream] of Object.entries(collect.streams)) {
    const said = [stream.opaque && `binary values are ${stream.opaque === "allow" ? "stored as they are sent" : "refused"}`, stream.values && `values are opened as ${stream.values}`, stream.subject_key && `${stream.subject_key} says whom it is about`].filter(Boolean);
    out.push({ what: topic === "*" ? "Topics without an entry" : `Topic ${topic}`, does: said.length ? `${said.join("; ")}.` : "As topics without an entry.", key: `collect.streams.${topic}` });
  }
  for (const rule of scrub.rule) {
    out.push({ what: `Rule ${rule.id}`, does: `${rule.pattern ? `what fits ${rule.pattern}` : rule.detect?.length ? rule.detect.join(", ") : "everything"} ${rule.at === "**" ? "anywhere" : `at ${rule.at}`}: ${rule.action}.`, key: `scrub.rule.${rule.id}` });
  }
  for (const exception of scrub.allow) out.push({ what: "Exception", does: `${exception.detect.join(", ")} may stand at ${exception.at}: ${exception.reason}.`, key: "scrub.allow" });
  return out;
}
