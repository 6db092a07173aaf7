// Pictures of the pages, for the documentation: taken only when asked (`UPDATE_SCREENSHOTS=1`).
import { mkdirSync } from "node:fs";

const FOLDER = new URL("../../docs/images/", import.meta.url).pathname;

/** The overview at each width in both themes, and some pages once. */
export async function shoot(web, url, connections, session) {
  mkdirSync(FOLDER, { recursive: true });
  for (const theme of ["light", "dark"]) {
    for (const width of [360, 768, 1440]) {
      const context = await web.newContext({ viewport: { width, height: width === 360 ? 640 : 600 }, colorScheme: theme });
      const page = await context.newPage();
      const take = async (path, name) => {
        await page.goto(`${url}/#/${path}`);
        await page.waitForSelector('html[data-live="live"]');
        await page.waitForSelector("main .panel");
        await page.waitForTimeout(1200);
        await page.screenshot({ path: `${FOLDER}${name}-${connections}-${width}-${theme}.png` });
      };
      await take("", "overview");
      if (connections === "20000" && width === 1440 && theme === "light") await take("sessions", "sessions");
      if (connections === "10" && width === 1440) {
        const panel = page.getByRole("region", { name: "Error budgets" });
        await panel.screenshot({ path: `${FOLDER}budgets-${theme}.png` });
        await take(theme === "dark" ? "links/payments" : `sessions/${session}`, theme === "dark" ? "link" : "session");
      }
      await context.close();
    }
  }
}
