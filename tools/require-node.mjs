// Loaded before everything else by the scripts of package.json, and written so that old releases of Node can run it.
const wanted = 24;
if (Number(process.versions.node.split(".")[0]) < wanted) {
  console.error(
    `error: Node ${process.versions.node} is too old: this needs Node ${wanted} or later\n` +
      "hint: run `npm ci` (which brings the right Node along) and then start this with `npm run`, not with `node`",
  );
  process.exit(2);
}
