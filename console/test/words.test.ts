import { describe, expect, it } from "vitest";
import { asCurl, asPython } from "../src/api/copied";
import { bytes, exact, percent, price, share, short } from "../src/format/numbers";
import { ago, span } from "../src/format/times";
import { correction } from "../src/rooms/add/corrected";
import { askedBy, entryOf } from "../src/rooms/add/settled";
import { indented } from "../src/rooms/inbox/indented";
import { byMinute } from "../src/rooms/pipeline/rates";
import { secondsLeft } from "../src/rooms/runs/progress";
import { suggested } from "../src/rooms/add/upload";
import { told } from "../src/rooms/webhooks/words";

describe("numbers", () => {
  it.each([
    [73917.29, "73,917.29"],
    [2.154e-5, "0.00002154"],
    [1.5, "1.5"],
    [0, "0"],
    [0.123456789, "0.123457"],
    [1.2e-12, "0.0000000000012"],
    [-3.25, "−3.25"],
    [1e-25, "0.0000000000000000000000001"],
    [null, "–"],
  ])("a price of %s", (value, text) => {
    expect(price(value)).toBe(text);
  });
  it("are exact without exponents", () => {
    expect(exact(2.154e-5)).toBe("0.00002154");
    expect(exact(1234567.5)).toBe("1234567.5");
    expect(exact(-1.5e21)).toBe("-1500000000000000000000");
  });
  it.each([
    [1.9673, "+1.97 %"],
    [-0.001, "0.00 %"],
    [-8.3737, "−8.37 %"],
    [null, "–"],
  ])("a change of %s", (value, text) => {
    expect(percent(value)).toBe(text);
  });
  it("never round up to whole", () => {
    expect(share(0.9999)).toBe("99.9 %");
    expect(share(1)).toBe("100 %");
  });
  it("are short when they are long", () => {
    expect(short(720916758464)).toBe("720.92 B");
    expect(short(950)).toBe("950");
    expect(short(999_999.9)).toBe("1 M");
  });
});

describe("times", () => {
  it.each([
    [0.25, "250 ms"],
    [59, "59 s"],
    [61, "1 min"],
    [7_300, "2 h"],
    [200_000, "2 d"],
  ])("a span of %s s", (seconds, text) => {
    expect(span(seconds)).toBe(text);
  });
  it("are relative to now", () => {
    const now = Date.parse("2024-01-01T00:00:10Z");
    expect(ago("2024-01-01T00:00:00Z", now)).toBe("10 s ago");
    expect(ago(null, now)).toBe("never");
  });
});

describe("copied requests", () => {
  const call = { method: "POST", address: "/api/v1/ingest", body: { all: true, note: "it's" } };
  it("run in a shell", () => {
    expect(asCurl(call, "http://x")).toBe(
      `curl -s -X POST "http://x/api/v1/ingest" -H "x-api-key: $API_KEY"` +
        ` -H "content-type: application/json" -d '{"all":true,"note":"it'\\''s"}'`,
    );
  });
  it("are Python", () => {
    expect(asPython(call, "http://x")).toContain(`json={"all": True, "note": "it's"}`);
  });
});

describe("what a file does not say", () => {
  const message =
    "a.csv: which coin? fill in: write into CSV_DIR/mapping.yaml\nfiles:\n  - file: 'a.csv'\n" +
    "    symbol: …\n    currency: …   # or leave this line out\n    dates: day_first   # or month_first\n" +
    "    columns: {time: 'When', price: …}";
  it("is asked for", () => {
    expect(askedBy(message)).toEqual([
      { name: "symbol", value: "", note: "" },
      { name: "currency", value: "", note: "or leave this line out" },
      { name: "dates", value: "", note: "or month_first" },
      { name: "columns.time", value: "When", note: "" },
      { name: "columns.price", value: "", note: "" },
    ]);
    expect(askedBy("it is no table")).toEqual([]);
  });
  it("is written as an entry", () => {
    const given = { symbol: "btc ", currency: "", "columns.time": "When", "columns.price": "4" };
    expect(entryOf("a.csv", given)).toEqual({
      file: "/a.csv",
      symbol: "btc",
      columns: { time: "When", price: 4 },
    });
  });
});

describe("a reading that is wrong", () => {
  const before = {
    fields: { symbol: "BTC", currency: "USD" },
    columns: [
      { name: "Day", role: "time" },
      { name: "Avg. Rate", role: "price" },
      { name: "", role: "volume" },
      { name: "Close", role: "" },
    ],
  };
  it("is corrected by what is different alone", () => {
    expect(correction("a/b.csv", before, {}, {})).toBe(null);
    expect(correction("a/b.csv", before, { symbol: "BTC" }, { 1: "time" })).toBe(null);
    expect(correction("a/b.csv", before, { currency: "eur" }, { 4: "price", 2: "" })).toEqual({
      file: "a/b.csv",
      currency: "eur",
      columns: { "Avg. Rate": null, price: 4 },
    });
  });
  it("takes back what was said, and leaves out columns without a name", () => {
    expect(correction("a/b.csv", before, { currency: "" }, { 3: "" })).toEqual({
      file: "a/b.csv",
      currency: null,
      columns: { volume: null },
    });
    expect(correction("a/b.csv", before, {}, { 3: "", 4: "volume" })).toEqual({
      file: "a/b.csv",
      columns: { volume: 4 },
    });
  });
  it("does not leave a column what it was", () => {
    expect(correction("a/b.csv", before, {}, { 2: "close" })).toEqual({
      file: "a/b.csv",
      columns: { close: 2, price: null },
    });
    expect(correction("a/b.csv", before, {}, { 2: "", 4: "close" })).toEqual({
      file: "a/b.csv",
      columns: { close: 4, price: null, "Avg. Rate": null },
    });
  });
});

it("payloads are indented without a parser", () => {
  const text = '{"a":12345678901234567890123,"b":[1.0,"x, {y}"]}';
  expect(indented(text)).toBe(
    '{\n  "a": 12345678901234567890123,\n  "b": [\n    1.0,\n    "x, {y}"\n  ]\n}',
  );
});

it("adds up what instances told of each minute", () => {
  const now = Date.parse("2024-01-01T01:00:30Z");
  const moment = (time: string, records: number) => ({
    time,
    records_per_second: records,
    memory_bytes: 1,
    waiting: null,
  });
  const one = { history: [moment("2024-01-01T00:59:00Z", 5), moment("2024-01-01T01:00:10Z", 7)] };
  const other = { history: [moment("2024-01-01T01:00:20Z", 1), moment("2024-01-01T00:00:00Z", 9)] };
  const found = byMinute([one, other], now, (each) => each.records_per_second);
  expect(found.slice(-3)).toEqual([null, 5, 8]);
  expect(found.slice(0, -3).every((each) => each === null)).toBe(true);
  expect(byMinute([one], now, (each) => each.waiting)).toEqual(Array(60).fill(null));
});

it.each([
  [0, "0 B"],
  [999, "999 B"],
  [1_500, "1.5 kB"],
  [184_300_000, "184 MB"],
  [2_000_000_000, "2 GB"],
  [null, "–"],
])("%s bytes", (value, text) => {
  expect(bytes(value)).toBe(text);
});

describe("the time that a run takes still", () => {
  const task = { records: 0, finished_at: null, profile: { rows: 4_000 } };
  const run = { status: "running", records: 1_000, started_at: "2024-01-01T00:00:00Z" };
  const now = Date.parse("2024-01-01T00:00:10Z");
  const left = (changes: object) =>
    secondsLeft({ ...run, tasks: [task], ...changes } as never, now);
  it("follows from its speed", () => {
    expect(left({})).toBe(30);
  });
  it("is not known without rows, before the first record, or at the end", () => {
    expect(left({ tasks: [{ ...task, profile: null }] })).toBe(null);
    expect(left({ records: 0 })).toBe(null);
    expect(left({ status: "succeeded" })).toBe(null);
  });
});

it("a name that every reader takes", () => {
  expect(suggested("btc-usd.csv")).toBe("uploads/btc-usd.csv");
  expect(suggested('a/b*?".csv')).toBe("uploads/a-b---.csv");
  expect(suggested("..hidden.csv")).toBe("uploads/hidden.csv");
});

it("what a webhook is told", () => {
  const conditions = [
    { type: "PriceCrosses", symbol: "btc", direction: "above", price: "100000" },
    { type: "PriceChanges", symbol: "eth", percent: 5, within_s: 3600 },
    { type: "MoodIs", symbol: "btc", sentiment: -0.5 },
    { type: "IsStale", source: "rss", after_s: 7200 },
  ];
  expect(told({ events: ["run.failed"], conditions, sources: ["csv"] } as never)).toBe(
    "run.failed, btc above 100000, eth moves by 5 % within 1 h, news of btc at most -0.5, " +
      "rss silent for 2 h; of csv alone",
  );
});
