import { render } from "preact";
import { takeKeyFromAddress, watchAddress } from "./api/key";
import { App } from "./app";
import "./ui/tokens.css";
import "./ui/page.css";
import "./ui/parts.css";

takeKeyFromAddress();
watchAddress();
render(<App />, document.body);
