// What stands where a view broke or its code could not be loaded: a word about it, and a way on.
import { Component, type ReactNode } from "react";
import { Problem } from "../lib/api";
import { Trouble } from "./basics";

/** After an update of the server the old code is gone; without a server none comes. Loading the page again mends both. */
const notLoaded = new Problem(0, "This view could not be loaded", "The server does not answer, or it was updated. Load the page again.");

export class Boundary extends Component<{ children: ReactNode }, { error?: Error }> {
  override state: { error?: Error } = {};

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    const problem = /import|fetch|load/i.test(error.message) ? notLoaded : new Problem(-1, "Something went wrong in this view", `${error.message}. Load the page again; if it stays, tell whoever runs this server.`);
    return <div className="page"><Trouble problem={problem} again={() => location.reload()} /></div>;
  }
}
