// What a webhook is told, in words.

import type { Schemas } from "../../api/client";
import { span } from "../../format/times";

type Condition = Record<string, unknown>;

/** Of its events and conditions: `run.failed, btc above 100000; of csv alone`. */
export function told(of: Schemas["WebhookState"]): string {
  const all = [...of.events, ...of.conditions.map(condition)].join(", ");
  return of.sources ? `${all}; of ${of.sources.join(", ")} alone` : all;
}

export function condition(of: Condition): string {
  const symbol = String(of["symbol"]);
  switch (of["type"]) {
    case "PriceCrosses":
      return `${symbol} ${String(of["direction"])} ${String(of["price"])}`;
    case "PriceChanges":
      return `${symbol} moves by ${String(of["percent"])} % within ${span(Number(of["within_s"]))}`;
    case "MoodIs":
      return mood(symbol, Number(of["sentiment"]));
    case "IsStale":
      return `${String(of["source"])} silent for ${span(Number(of["after_s"]))}`;
    default:
      return JSON.stringify(of);
  }
}

function mood(symbol: string, sentiment: number): string {
  return `news of ${symbol} ${sentiment < 0 ? "at most" : "at least"} ${sentiment}`;
}
