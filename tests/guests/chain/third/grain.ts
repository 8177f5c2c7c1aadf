// The third stop: it calls the fourth by its types.

import { calls, context, Err, grain } from "@granary/sdk";
import { Ref } from "test:chain-fourth-client/hop@0.1.0";

export const hop = grain({
  onward(word: string): string {
    try {
      return Ref.withOptions(context.selfId().key, calls.options({ timeoutMs: 14_000 })).onward(word);
    } catch (failed) {
      throw new Err(words(failed));
    }
  },
});

function words(failed: any): string {
  const why = failed.payload ?? failed;
  return why.tag === "app" ? why.val : `${why.val.code}: ${why.val.text}`;
}
