{const d=document,one=(x,q)=>x.querySelector(q),all=(x,q)=>[...x.querySelectorAll(q)];
const get=async path=>{const r=await fetch(path,{cache:'no-store'});if(!r.ok)throw r.status;
return new DOMParser().parseFromString(await r.text(),'text/html')};
/* Put z in the place of a, scrolled and unfolded as that was. */
const swap=(a,z)=>{const q='.pic,.wide,.tall,details',n=all(z,q),was=all(a,q).map(x=>[x.open,x.scrollLeft,x.scrollTop]);
a.replaceWith(z);was.forEach(([open,x,y],i)=>{if(n[i]){if(open)n[i].open=true;n[i].scrollTo(x,y)}})};
/* Bring the parts of this page up to date that differ from those of a newer page. */
const renew=page=>{for(const q of['header','nav'])if(!one(d,q).isEqualNode(one(page,q)))swap(one(d,q),one(page,q));
for(const q of['main','aside']){const here=one(d,q);let next=here.firstElementChild;for(const z of[...one(page,q).children]){
let a=z.id&&d.getElementById(z.id);if(!a){here.insertBefore(z,next);continue}
if(z.id=='steps')one(d,'#t').renew(one(z,'tbody').rows);
else if(z.id!='now'&&z.id!='gone'&&!a.isEqualNode(z)){swap(a,z);a=z}next=a.nextElementSibling}}
if(location.hash.length>2&&!one(d,':target')){const y=scrollY;location.replace(location.hash);scrollTo(0,y)}
d.body.dataset.seq=page.body.dataset.seq};
let lost=0,due=0;const look=async()=>{try{const z=one(await get('now'),'#now'),{seq,over}=z.dataset;
if(d.body.dataset.seq!=seq&&(+over||Date.now()>due)){const from=Date.now();renew(await get('./'));due=2*Date.now()-from+2000}
if(!one(d,'#now').isEqualNode(z))swap(one(d,'#now'),z);lost=0;if(+over&&d.body.dataset.seq==seq)return}
catch{if(++lost>4){one(d,'#gone').hidden=false;return}}setTimeout(look,1000)};setTimeout(look,1000)}
