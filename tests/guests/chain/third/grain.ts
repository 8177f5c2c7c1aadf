// The third stop: it calls the fourth by its types.

import { context, Err, grain } from "@granary/sdk";
// @ts-ignore: made by `granary build` from the kind's WIT.
import { Ref } from "test:chain-fourth-client/hop@0.1.0";

export const hop = grain({
  onward(word: string): string {
    try {
      return new Ref(context.selfId().key).onward(word);
    } catch (failed) {
      throw new Err(words(failed));
    }
  },
});

function words(failed: any): string {
  const why = failed.payload ?? failed;
  return why.tag === "app" ? why.val : JSON.stringify(why);
}
