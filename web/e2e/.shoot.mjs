import { launch } from "./browser.mjs";
const b = await launch();
for (const [name, opt, hash] of [["d-top",{viewport:{width:1280,height:900},colorScheme:"dark"},""],["d-http",{viewport:{width:1280,height:900},colorScheme:"light"},"#post_conversations_id_share"],["d-cmd",{viewport:{width:1280,height:900},colorScheme:"dark"},"#command-select"],["d-type",{viewport:{width:1280,height:900},colorScheme:"light"},"#type-Entry"],["p-top",{viewport:{width:390,height:844},isMobile:true,hasTouch:true,deviceScaleFactor:2,colorScheme:"light"},""],["p-cmd",{viewport:{width:390,height:844},isMobile:true,hasTouch:true,deviceScaleFactor:2,colorScheme:"dark"},"#command-select"],["p-http",{viewport:{width:390,height:844},isMobile:true,hasTouch:true,deviceScaleFactor:2,colorScheme:"light"},"#get_conversations"]]) {
  const c = await b.newContext(opt); const p = await c.newPage();
  p.on("console", m => ["error","warning"].includes(m.type()) && console.log(name, m.text())); p.on("pageerror", e => console.log(name, String(e)));
  await p.goto((process.env.BASE ?? "http://127.0.0.1:8991") + "/docs" + hash); await p.waitForSelector("article"); await p.waitForTimeout(400);
  await p.screenshot({ path: `/tmp/shot-${name}.png` });
  console.log(name, await p.evaluate(() => document.documentElement.scrollWidth + "/" + innerWidth));
}
const c = await b.newContext({viewport:{width:1280,height:700}}); const p = await c.newPage(); await p.goto((process.env.BASE ?? "http://127.0.0.1:8991") + "/docs"); await p.waitForSelector("article"); await p.fill("#find","conflict"); await p.waitForTimeout(200); await p.screenshot({path:"/tmp/shot-find.png"});
await b.close();
