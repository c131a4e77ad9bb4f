/** Lives in the model, because plans have paths that are typed wrong as well. */
export { nearMiss, suggest } from '../model/near-miss.ts';
