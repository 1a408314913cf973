import { useEffect, useState } from "preact/hooks";
import { onWrongKey } from "./api/client";
import { key } from "./api/key";
import { Door } from "./door";
import { Rail, roomOf, ROOMS } from "./rooms";
import { takeDrops } from "./state/dropped";
import { listen } from "./state/live";
import { usePlace } from "./state/place";
import { apply } from "./state/theme";
import { PointDrawer } from "./rooms/lineage/point";
import { useShortcuts } from "./shortcuts";
import { Top } from "./top";

apply();

/** The whole page: the door for who has no key, else the frame with a room. */
export function App({ refused }: { refused: string | null }) {
  const [isIn, setIn] = useState(key() !== null);
  useEffect(() => onWrongKey(() => setIn(false)), []);
  return isIn ? <Frame /> : <Door refused={refused} onKey={() => setIn(true)} />;
}

function Frame() {
  const room = roomOf(usePlace());
  const { Room, title } = ROOMS[room];
  const help = useShortcuts();
  useEffect(listen, []);
  useEffect(takeDrops, []);
  useEffect(() => {
    document.title = `${title} · Crypto ingest`;
  }, [title]);
  return (
    <>
      <a class="skip" href="#room">
        Skip to the room
      </a>
      <div class="frame">
        <Rail current={room} />
        <div>
          <Top />
          <main id="room" tabIndex={-1}>
            <Room />
          </main>
        </div>
      </div>
      <PointDrawer />
      {help}
    </>
  );
}
