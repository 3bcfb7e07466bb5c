-- Nothing was written; but only a committed transaction is in the server's statistics.
commit;
