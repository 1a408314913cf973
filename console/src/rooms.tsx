import type { FunctionComponent } from "preact";
import { Add } from "./rooms/add/room";
import { Coin } from "./rooms/coin/room";
import { Inbox } from "./rooms/inbox/room";
import { Keys } from "./rooms/keys/room";
import { Markets } from "./rooms/markets/room";
import { Pipeline } from "./rooms/pipeline/room";
import { Replay } from "./rooms/replay/room";
import { Runs } from "./rooms/runs/room";
import { Schedules } from "./rooms/schedules/room";
import { Sources } from "./rooms/sources/room";
import { Webhooks } from "./rooms/webhooks/room";
import { useAnswer } from "./state/answers";
import type { Place } from "./state/place";
import { Icon, type IconName } from "./ui/icons";
import { Go } from "./ui/parts";

interface Described {
  title: string;
  Room: FunctionComponent;
  /** Behind `g`; without one it stands in no rail. */
  letter?: string;
  icon?: IconName;
}

export type RoomName =
  | "markets"
  | "coin"
  | "add"
  | "sources"
  | "schedules"
  | "runs"
  | "replay"
  | "inbox"
  | "pipeline"
  | "webhooks"
  | "keys";
export const ROOMS: Record<RoomName, Described> = {
  markets: { title: "Markets", Room: Markets, letter: "m", icon: "markets" },
  coin: { title: "Coin", Room: Coin },
  add: { title: "Add data", Room: Add, letter: "a", icon: "add" },
  sources: { title: "Sources", Room: Sources, letter: "s", icon: "sources" },
  schedules: { title: "Schedules", Room: Schedules, letter: "t", icon: "schedules" },
  runs: { title: "Runs", Room: Runs, letter: "r", icon: "runs" },
  replay: { title: "Replay", Room: Replay, letter: "p", icon: "replay" },
  inbox: { title: "Inbox", Room: Inbox, letter: "i", icon: "inbox" },
  pipeline: { title: "Pipeline", Room: Pipeline, letter: "l", icon: "pipeline" },
  webhooks: { title: "Webhooks", Room: Webhooks, letter: "w", icon: "webhooks" },
  keys: { title: "Keys", Room: Keys, letter: "k", icon: "keys" },
};

export function roomOf(place: Place): RoomName {
  const name = place["room"] ?? "";
  return Object.hasOwn(ROOMS, name) ? (name as RoomName) : "markets";
}

const MOST = 100;

/** How many letters are open. GET /dead-letters. */
function Waiting() {
  const open = useAnswer("/dead-letters", { status: "open", limit: MOST }).data?.length ?? 0;
  if (!open) return null;
  return <span class="badge warn">{open === MOST ? `${MOST}+` : open}</span>;
}

export function Rail({ current }: { current: RoomName }) {
  const names = (Object.keys(ROOMS) as RoomName[]).filter((name) => ROOMS[name].icon);
  return (
    <nav class="rail" aria-label="Rooms">
      <div class="name">Crypto ingest</div>
      {names.map((name) => (
        <Go
          key={name}
          to={name === "markets" ? {} : { room: name }}
          current={name === current || (name === "markets" && current === "coin")}
        >
          <Icon name={ROOMS[name].icon!} />
          <span class="text">{ROOMS[name].title}</span>
          {name === "inbox" && <Waiting />}
        </Go>
      ))}
      <div class="foot">
        <p>
          <a href="/docs">API</a> · <kbd>?</kbd> keys and words
        </p>
        <p>
          Charts: <a href="https://www.tradingview.com/">TradingView</a> Lightweight Charts™,
          Copyright © 2025 TradingView, Inc.
        </p>
      </div>
    </nav>
  );
}
