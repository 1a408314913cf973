import { render } from "preact";
import { takeCodeFromAddress, takeKeyFromAddress, watchAddress } from "./api/key";
import { App } from "./app";
import "./ui/tokens.css";
import "./ui/page.css";
import "./ui/parts.css";

takeKeyFromAddress();
watchAddress();
void takeCodeFromAddress().then((refused) => render(<App refused={refused} />, document.body));
