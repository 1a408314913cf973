import { render } from "preact";
import { takeKeyFromAddress } from "./api/key";
import { App } from "./app";
import "./ui/tokens.css";
import "./ui/page.css";
import "./ui/parts.css";

takeKeyFromAddress();
render(<App />, document.body);
