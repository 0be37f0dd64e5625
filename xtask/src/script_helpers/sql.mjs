// In place of platform:store/sql. It records what happens.

export const done = [];

export class Transaction {
  static begin() {
    done.push('begin');
    return new Transaction();
  }
  static commit() {
    done.push('commit');
  }
  static rollback() {
    done.push('rollback');
  }
  execute(statement, parameters) {
    done.push([statement, parameters]);
    return 1n;
  }
  publish(subject, payload) {
    done.push([subject, new TextDecoder().decode(payload)]);
    return 'id';
  }
}

export function query() {
  return { columns: ['who', 'said'], rows: [[{ tag: 'text', val: 'a' }, { tag: 'integer', val: 2n }]] };
}
