-- Nothing was written; what ends well is in the server's statistics.
commit;
