import { change, usePlace } from "../../state/place";
import { Drawer } from "../../ui/parts";
import { Explained } from "./drawer";

/** The origin of the data point that the address names, over whatever room it was asked in. */
export function PointDrawer() {
  const id = usePlace()["point"];
  if (!id) return null;
  return (
    <Drawer title="Where does this come from?" onClose={() => change({ point: null })}>
      <Explained key={id} id={id} />
    </Drawer>
  );
}
