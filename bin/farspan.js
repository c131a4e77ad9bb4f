#!/usr/bin/env node
import { register } from 'tsx/esm/api';

// The source is what runs (docs/decisions/0007): no build, no stale output.
register();
await import('../harness/cli/main.ts');
