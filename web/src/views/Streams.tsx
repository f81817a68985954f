// Streams: topics, groups, bridges, users and rules, and one topic, group or bridge whole.
import { useKeys } from "../lib/keys";
import { useLoad } from "../lib/load";
import { go, href, setQuery, usePlace } from "../lib/route";
import { streams } from "../lib/streams";
import { Empty, Shown, Snippet } from "../parts/basics";
import { AccessPage } from "../streams/Access";
import { BridgePage } from "../streams/BridgePage";
import { Bridges } from "../streams/Bridges";
import { GroupPage } from "../streams/Group";
import { Groups } from "../streams/Groups";
import { Schemas } from "../streams/Schemas";
import { SubjectPage } from "../streams/Subject";
import { Topic } from "../streams/Topic";
import { Topics } from "../streams/Topics";
import "../design/streams.css";

export function Streams({ project }: { project: string }) {
  const { path, query } = usePlace();
  const [, , part = "topics", name] = path;
  const overview = useLoad(project, (signal) => streams.overview(project, signal));
  useKeys({
    escape: () => {
      if (query.get("row")) setQuery({ row: undefined });
      else if (name) go(href([project, "streams", ...(part === "topics" ? [] : [part])]));
    },
  });
  return (
    <Shown loaded={overview}>
      {(data) => !data.listening ? <Off /> : name && part === "topics" ? <Topic key={name} project={project} name={name} overview={data} />
        : name && part === "groups" ? <GroupPage key={name} project={project} name={name} overview={data} />
        : name && part === "schemas" ? <SubjectPage key={name} project={project} name={name} overview={data} />
        : name && part === "bridges" ? <BridgePage key={name} project={project} name={name} overview={data} />
        : (
          <div className="streams">
            <nav className="tabs" aria-label="Streams">
              {([["topics", "Topics"], ["groups", "Groups"], ["schemas", "Schemas"], ["bridges", "Bridges"], ["access", "Users and rules"]] as const).map(([id, label]) => (
                <a key={id} className="tab" aria-current={part === id ? "page" : undefined} href={href([project, "streams", ...(id === "topics" ? [] : [id])])}>{label}</a>
              ))}
            </nav>
            {part === "schemas" ? <Schemas project={project} overview={data} /> : part === "groups" ? <Groups project={project} overview={data} /> : part === "bridges" ? <Bridges project={project} overview={data} /> : part === "access" ? <AccessPage project={project} overview={data} /> : <Topics project={project} overview={data} />}
          </div>
        )}
    </Shown>
  );
}

function Off() {
  return (
    <Empty title="Kafka does not listen on this server">
      <p className="soft">Start the server with an address for Kafka clients; nothing else changes.</p>
      <Snippet label="Start with Kafka" code="candor serve --kafka-listen 127.0.0.1:9092" />
    </Empty>
  );
}
