// Edge Function that checks candidates of rating tasks for Endcap (ENDCAP_CHECKS_FUNCTION=auto-checks). Deploy it with:
//   supabase functions deploy auto-checks --no-verify-jwt
//   supabase secrets set ENDCAP_CHECKS_KEY=<the value of SUPABASE_SERVICE_KEY>
// It is given what it needs and reads nothing of the project. The platform cannot verify the newer API keys as tokens, so it looks at the key itself.
import { run, type Task, VERSION } from "./checks.ts";

const MOST = 100;

export async function answer(request: Request, key: string | undefined): Promise<Response> {
  if (!key) return Response.json({ error: "the secret ENDCAP_CHECKS_KEY is not set" }, { status: 503 });
  if (request.headers.get("apikey") !== key) return Response.json({ error: "the key is not ENDCAP_CHECKS_KEY" }, { status: 401 });
  if (request.method !== "POST") return Response.json({ error: "POST {version, tasks}" }, { status: 405 });
  const body = await request.json().catch(() => undefined);
  if (!Array.isArray(body?.tasks) || body.tasks.length > MOST) {
    return Response.json({ error: `tasks must be a list of at most ${MOST}` }, { status: 422 });
  }
  try {
    return Response.json({ version: VERSION, findings: (body.tasks as Task[]).map(run) });
  } catch (error) {
    return Response.json({ error: String(error) }, { status: 422 });
  }
}

// Absent where a test imports this file.
const deno = (globalThis as { Deno?: { serve(handler: (request: Request) => Promise<Response>): void; env: { get(name: string): string | undefined } } }).Deno;
deno?.serve((request) => answer(request, deno.env.get("ENDCAP_CHECKS_KEY")));
