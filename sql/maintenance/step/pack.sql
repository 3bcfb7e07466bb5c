-- Has the next rebuild of an index fill its pages. The 3 % that stay free take one late row in a hundred, at
-- random times: the index grows by 3 % then, and by 28 % if its pages are full.
alter index execlog.:"index" set (fillfactor = 97);
