// A thread of `farspan sweep`. Node's threads do not inherit the loader of TypeScript, so each takes it for itself.
import { register } from 'tsx/esm/api';

register();
await import('../harness/cli/sweep-worker.ts');
